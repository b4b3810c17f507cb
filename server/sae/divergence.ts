/**
 * How much fine-tuning changed each layer, and which layers to study (method 1.4). Letters: theta the parameters of
 * one layer before tuning, delta their change.
 */
import { describeShape } from "../engine/errors.ts";
import { sameShape } from "../engine/graph.ts";
import type { ModelParameter } from "../models/architecture.ts";
import { CheckpointTensorError } from "../models/errors.ts";
import { sumOfSquares, sumOfSquaresOfDifference } from "./divergence.loops.ts";

/** Source of the two checkpoints of one architecture, such as `openParameters`. */
export interface ParameterSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  readFloat32(name: string): Promise<Float32Array>;
}

export interface LayerDivergence {
  readonly layer: number;
  /** Sum over the layer's tensors of ||delta||: the published code's measure, without its 8-bit rounding. */
  readonly sumOfNorms: number;
  /** ||delta|| over all of the layer's parameters together. */
  readonly jointL2: number;
  /** ||delta|| over the MLP's parameters together. */
  readonly mlpOnly: number;
  /** ||delta|| / ||theta|| over all of the layer's parameters. */
  readonly relative: number;
}

export type DivergenceMeasure = Exclude<keyof LayerDivergence, "layer">;

/** Change of one parameter: ||delta||^2, and ||theta||^2 before tuning. */
export interface ParameterChange extends Pick<ModelParameter, "name" | "part" | "layer"> {
  readonly delta: number;
  readonly theta: number;
}

/** Every parameter's change. Throws `CheckpointTensorError` when the checkpoints are not of one architecture. */
export async function parameterChanges(
  base: ParameterSource,
  tuned: ParameterSource,
  parameters: readonly Pick<ModelParameter, "name" | "part" | "layer">[],
): Promise<ParameterChange[]> {
  const changes: ParameterChange[] = [];
  for (const { name, part, layer } of parameters) {
    checkShapes(name, base, tuned);
    const [before, after] = await Promise.all([base.readFloat32(name), tuned.readFloat32(name)]);
    changes.push({
      name,
      part,
      layer,
      delta: sumOfSquaresOfDifference(before, after),
      theta: sumOfSquares(before),
    });
  }
  return changes;
}

/** Joint divergence of several parameters; 0 throughout for none. */
export function divergenceOf(changes: readonly ParameterChange[]): Omit<LayerDivergence, "layer" | "mlpOnly"> {
  const total = (of: (change: ParameterChange) => number): number =>
    changes.reduce((sum, change) => sum + of(change), 0);
  const [delta, theta] = [total((change) => change.delta), total((change) => change.theta)];
  return {
    sumOfNorms: total((change) => Math.sqrt(change.delta)),
    jointL2: Math.sqrt(delta),
    relative: theta === 0 ? 0 : Math.sqrt(delta / theta),
  };
}

/**
 * Divergence of every layer, in layer order. `parameters` are the architecture's; those outside layers do not count. Throws
 * `CheckpointTensorError` when the checkpoints are not of one architecture.
 */
export async function layerDivergences(
  base: ParameterSource,
  tuned: ParameterSource,
  parameters: readonly Pick<ModelParameter, "name" | "part" | "layer">[],
): Promise<LayerDivergence[]> {
  const inLayers = parameters.filter(({ layer }) => layer !== undefined);
  const byLayer = Map.groupBy(await parameterChanges(base, tuned, inLayers), ({ layer }) => layer ?? 0);
  return [...byLayer]
    .toSorted(([a], [b]) => a - b)
    .map(([layer, changes]) => {
      const { sumOfNorms, jointL2, relative } = divergenceOf(changes);
      const mlpOnly = divergenceOf(changes.filter(({ part }) => part === "mlp")).jointL2;
      return { layer, sumOfNorms, jointL2, mlpOnly, relative };
    });
}

/** Chooses the layers that changed most (or least) by a measure, in layer order; ties go to the lower layer. */
export function chooseLayers(
  divergences: readonly LayerDivergence[],
  measure: DivergenceMeasure,
  count: number,
  choose: "highest" | "lowest" = "highest",
): number[] {
  const sign = choose === "highest" ? -1 : 1;
  const ranked = divergences.toSorted((a, b) => sign * (a[measure] - b[measure]) || a.layer - b.layer);
  return ranked
    .slice(0, count)
    .map(({ layer }) => layer)
    .toSorted((a, b) => a - b);
}

function checkShapes(name: string, base: ParameterSource, tuned: ParameterSource): void {
  const [before, after] = [base.tensors.get(name), tuned.tensors.get(name)];
  if (before === undefined || after === undefined) {
    throw new CheckpointTensorError(
      `tensor '${name}' is missing in ${before === undefined ? base.path : tuned.path}: the two checkpoints are not of one architecture`,
    );
  }
  if (!sameShape(before.shape, after.shape)) {
    throw new CheckpointTensorError(
      `tensor '${name}' is ${describeShape(before.shape)} in ${base.path} but ${describeShape(after.shape)} in ${tuned.path}`,
    );
  }
}
