import type { LensProbe } from "./subject.ts";

/** Columns of the features of all layers, side by side. */
export interface FeatureColumns {
  readonly spans: LensProbe["layers"];
  readonly count: number;
  /** Undefined for a feature without a column. */
  columnOf(layer: number, feature: number): number | undefined;
  placeOf(column: number): { readonly layer: number; readonly feature: number };
}

/** The columns that the layers' spans define. Layers and features outside them have none. */
export function columnsOf(spans: LensProbe["layers"]): FeatureColumns {
  return {
    spans,
    count: spans.at(-1)?.end ?? 0,
    columnOf: (layer, feature) => {
      const span = spans.find((one) => one.layer === layer);
      return span === undefined || feature >= span.end - span.start ? undefined : span.start + feature;
    },
    placeOf: (column) => {
      const span = spans.find(({ start, end }) => column >= start && column < end);
      if (span === undefined) throw new RangeError(`there is no column ${column}`);
      return { layer: span.layer, feature: column - span.start };
    },
  };
}

/** The probe with its output scale folded into weights and intercept, in double precision. */
export function scaledProbe({
  weights,
  intercept,
  outputScale,
}: Pick<LensProbe, "weights" | "intercept" | "outputScale">): {
  weights: Float64Array;
  intercept: number;
} {
  if (outputScale === null) return { weights: Float64Array.from(weights), intercept };
  const { from, to } = outputScale;
  const width = from.high - from.low;
  // A scale without width gives 0 for everything, as `toRewardRange` does.
  if (!(width > 0)) return { weights: new Float64Array(weights.length), intercept: 0 };
  const unit = (to.high - to.low) / width;
  return {
    weights: Float64Array.from(weights, (weight) => unit * weight),
    intercept: unit * (intercept - from.low) + to.low,
  };
}
