/**
 * How far fine-tuning moved each layer, and which layers to study (method 1.4). Letters: theta the parameters of one layer before, delta
 * what tuning added to them.
 */
import { describeShape } from "../engine/errors.ts";
import { sameShape } from "../engine/graph.ts";
import { CheckpointTensorError } from "../models/errors.ts";
import { layerOfParameter } from "../models/model.ts";
import { sumOfSquares, sumOfSquaresOfDifference } from "./divergence.loops.ts";

/** Where two checkpoints of one architecture are read from, such as `openCheckpointTensors`. */
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

/**
 * Divergence of every layer, in layer order. `names` are the parameters of the architecture; those outside layers do not count. Throws
 * `CheckpointTensorError` when the checkpoints are not of one architecture.
 */
export async function layerDivergences(
  base: ParameterSource,
  tuned: ParameterSource,
  names: readonly string[],
): Promise<LayerDivergence[]> {
  const totals = new Map<number, Totals>();
  for (const name of names) {
    const layer = layerOfParameter(name);
    if (layer === undefined) continue;
    checkShapes(name, base, tuned);
    const [before, after] = await Promise.all([base.readFloat32(name), tuned.readFloat32(name)]);
    const squares = sumOfSquaresOfDifference(before, after);
    const total = totals.get(layer) ?? { norms: 0, delta: 0, mlpDelta: 0, theta: 0 };
    totals.set(layer, {
      norms: total.norms + Math.sqrt(squares),
      delta: total.delta + squares,
      mlpDelta: total.mlpDelta + (name.includes(".mlp.") ? squares : 0),
      theta: total.theta + sumOfSquares(before),
    });
  }
  const layers = [...totals].toSorted(([a], [b]) => a - b);
  return layers.map(([layer, { norms, delta, mlpDelta, theta }]) => ({
    layer,
    sumOfNorms: norms,
    jointL2: Math.sqrt(delta),
    mlpOnly: Math.sqrt(mlpDelta),
    relative: theta === 0 ? 0 : Math.sqrt(delta / theta),
  }));
}

/** The layers that moved most (or least) by a measure, in layer order; ties go to the lower layer. */
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

interface Totals {
  readonly norms: number;
  readonly delta: number;
  readonly mlpDelta: number;
  readonly theta: number;
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
