/** The kinds of product kernel, and what each requires of an adapter. */

import type { Launch } from "../wgsl.ts";
import { sumSplitsLaunch } from "./finish.ts";
import { halfScaleLaunches, scaleGroups } from "./half-scale.ts";
import { type FactorPrecision, type MatrixTile, matricesLaunch, matrixInvocations, matrixStorage } from "./matrices.ts";
import type { MatrixConfig } from "./matrix-text.ts";
import { type Finish, flattened, type MatmulShape } from "./shape.ts";
import { type Tile, tiledLaunch, tileInvocations, tileStorage } from "./tiled.ts";

/** The adapter's properties by which a kernel is chosen. */
export interface MatmulAdapter {
  /** Whether it computes on the processor, where compiling costs more than running. */
  readonly software: boolean;
  readonly subgroups: { readonly min: number; readonly max: number } | undefined;
  /** Empty if it has none, if f16 is missing, or if they failed the device's check. */
  readonly matrices: readonly MatrixConfig[];
  /** Maximum bytes of workgroup memory. */
  readonly workgroupStorage: number;
  /** Maximum invocations per workgroup. */
  readonly invocations: number;
}

export type Variant =
  | { readonly kind: "tiles"; readonly tile: Tile; readonly splits: number }
  | {
      readonly kind: "matrices";
      readonly tile: MatrixTile;
      readonly precision: FactorPrecision;
      readonly splits: number;
    };

/** The launches of a product in their order. */
export interface MatmulPlan {
  readonly steps: readonly MatmulStep[];
  /** Workspaces shared between steps, in elements of 4 bytes, by name. */
  readonly workspaces: Readonly<Record<string, number>>;
}

export interface MatmulStep {
  readonly launch: Launch;
  /** For each binding of the kernel: `a`, `b`, `y`, the name of a workspace, or one of the epilogue's. */
  readonly operands: readonly string[];
}

/** Maximum relative error of a factor. */
export const factorErrors: Readonly<Record<FactorPrecision, number>> = { f32: 0, split: 2 ** -21, half: 2 ** -11 };

/** Increased whenever the kernels change, to invalidate measurements of earlier ones. */
export const kernelRevision = 2;

/** Plans a product as launches. y must not overlap a or b. */
export function planMatmul(given: MatmulShape, variant: Variant, finish: Finish): MatmulPlan {
  const shape = flattened(given);
  const { splits } = variant;
  const steps: MatmulStep[] = [];
  const workspaces: Record<string, number> = {};
  const add = (launch: Launch, names: Readonly<Record<string, string>> = {}): void => {
    const operands = launch.kernel.bindings.map(({ name }) => names[name] ?? name);
    steps.push({ launch, operands });
  };
  if (variant.kind === "tiles") add(tiledLaunch(shape, { ...finish, ...variant }));
  else {
    if (variant.precision !== "f32") addScales(shape, workspaces, add);
    add(matricesLaunch(shape, { ...finish, ...variant }));
  }
  if (splits > 1) {
    workspaces["parts"] = splits * shape.batch * shape.M * shape.N;
    add(sumSplitsLaunch(shape, splits, finish));
  }
  return { steps, workspaces };
}

/** Whether the adapter can run a variant. */
export function fits(variant: Variant, { invocations, workgroupStorage, matrices, subgroups }: MatmulAdapter): boolean {
  if (variant.kind === "tiles")
    return tileInvocations(variant.tile) <= invocations && tileStorage(variant.tile) <= workgroupStorage;
  const { tile, precision } = variant;
  const { config, subgroupSize, pinned } = tile;
  const listed = matrices.some(
    (own) =>
      own.componentType === config.componentType &&
      own.resultComponentType === config.resultComponentType &&
      own.M === config.M &&
      own.N === config.N &&
      own.K === config.K,
  );
  const size = subgroups !== undefined && subgroups.min <= subgroupSize && subgroupSize <= subgroups.max;
  const fixed = size && (pinned || subgroups.min === subgroups.max);
  return (
    listed && fixed && matrixInvocations(tile) <= invocations && matrixStorage(tile, precision) <= workgroupStorage
  );
}

/** A short name, for messages. */
export function describeVariant(variant: Variant): string {
  const split = variant.splits > 1 ? `, ${variant.splits} parts` : "";
  if (variant.kind === "tiles") {
    const { rows, columns, inner, perRow, perColumn } = variant.tile;
    return `tiles ${rows}x${columns}x${inner} by ${perRow}x${perColumn}${split}`;
  }
  const { config, subgroups, fragments, inner } = variant.tile;
  const of = `${config.M}x${config.N}x${config.K} ${variant.precision}`;
  return `matrices ${of}, ${subgroups.join("x")} subgroups of ${fragments.join("x")}, inner ${inner}${split}`;
}

type Add = (launch: Launch, names?: Readonly<Record<string, string>>) => void;

function addScales({ batch, M, N, K, sharedB }: MatmulShape, workspaces: Record<string, number>, add: Add): void {
  const sizes = { a: batch * M * K, b: (sharedB ? 1 : batch) * K * N };
  for (const [slot, x] of (["a", "b"] as const).entries()) {
    const [largest, scale] = halfScaleLaunches(sizes[x], slot);
    add(largest, { x, largest: `largest ${x}` });
    add(scale, { largest: `largest ${x}` });
    workspaces[`largest ${x}`] = scaleGroups(sizes[x]);
  }
  workspaces["scales"] = 2;
}
