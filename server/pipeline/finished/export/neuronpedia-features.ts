/** Features, their examples and explanations as rows of Neuronpedia. */
import type { z } from "zod";
import type { FeatureDetail, FeatureExample, FeatureExplanation } from "../../../protocol/features.ts";
import { sha256Of } from "../../../runs/files.ts";
import type { activationRow, explanationRow, featureRow } from "./neuronpedia-rows.ts";

/** Where a feature stands there, and to whom it belongs. */
export interface FeaturePlaceThere {
  readonly modelId: string;
  /** Id of the source. */
  readonly layer: string;
  readonly sourceSetName: string;
  readonly hookName: string;
  readonly creatorId: string;
  readonly createdAt: string;
}

export function featureOf(names: FeaturePlaceThere, { row, promotes, suppresses }: FeatureDetail) {
  const { histogram, maxActivation } = row;
  const binWidth = maxActivation / Math.max(1, histogram.length);
  return {
    ...keyOf(names, row),
    sourceSetName: names.sourceSetName,
    creatorId: names.creatorId,
    createdAt: names.createdAt,
    maxActApprox: short(maxActivation),
    hasVector: false,
    hookName: names.hookName,
    neg_str: suppresses.map(({ token }) => plainToken(token)),
    neg_values: suppresses.map(({ logit }) => short(logit)),
    pos_str: promotes.map(({ token }) => plainToken(token)),
    pos_values: promotes.map(({ logit }) => short(logit)),
    frac_nonzero: row.density,
    freq_hist_data_bar_heights: histogram,
    // Middles of the bins.
    freq_hist_data_bar_values: histogram.map((_, bin) => short((bin + 0.5) * binWidth)),
  } satisfies z.input<typeof featureRow>;
}

/** The examples where the feature is active: silent ones have no place there. */
export function activationsOf(names: FeaturePlaceThere, { row, examples }: FeatureDetail) {
  return examples.flatMap(({ group, examples: own }) => {
    const bin = binOf(group, own, row.maxActivation);
    if (bin === undefined) return [];
    return own.map(({ tokens, activations, peak }, at) => {
      const values = activations.map(short);
      const maxValue = Math.max(...values);
      return {
        id: rowIdOf(names, row.feature, group, at),
        ...keyOf(names, row),
        tokens: tokens.map(storable),
        values,
        maxValue,
        maxValueTokenIndex: values.indexOf(maxValue),
        minValue: Math.min(...values),
        ...bin,
        qualifyingTokenIndex: peak,
        creatorId: names.creatorId,
        createdAt: names.createdAt,
      } satisfies z.input<typeof activationRow>;
    });
  });
}

export function explanationsOf(names: FeaturePlaceThere, { row, explanations }: FeatureDetail) {
  return explanations.map((explanation, at) => {
    return {
      id: rowIdOf(names, row.feature, "explanation", at),
      ...keyOf(names, row),
      description: storable(explanation.text),
      authorId: names.creatorId,
      notes: storable(notesOf(explanation)),
      typeName: null,
      explanationModelName: null,
      createdAt: names.createdAt,
      updatedAt: names.createdAt,
    } satisfies z.input<typeof explanationRow>;
  });
}

function notesOf({ explainer, score }: FeatureExplanation): string {
  const by = `Explained by ${explainer === "offline" ? "LFP Lens, without a language model" : explainer}`;
  if (score === null) return `${by}; not scored`;
  const { method, value, low, high, windows } = score;
  return `${by}; ${method} score ${short(value)} (95 % interval ${short(low)} to ${short(high)}) on ${windows} held-out windows`;
}

function keyOf({ modelId, layer }: FeaturePlaceThere, { feature }: FeatureDetail["row"]) {
  return { modelId, layer, index: String(feature) };
}

type Bin = Pick<z.infer<typeof activationRow>, "binMin" | "binMax" | "binContains">;
type Group = FeatureDetail["examples"][number]["group"];

/** The share of the other active windows that a quarter holds. */
const quarter = 0.25;
const shares: { readonly [G in Group]: number | undefined } = {
  top: -1,
  q1: quarter,
  q2: quarter,
  q3: quarter,
  q4: quarter,
  silent: undefined,
};

/** As SAEDashboard marks them: -1 for the strongest; otherwise the bounds of the peaks, and their share. */
function binOf(group: Group, examples: readonly FeatureExample[], max: number): Bin | undefined {
  const share = shares[group];
  if (share === undefined) return undefined;
  if (share < 0) return { binMin: -1, binMax: short(max), binContains: -1 };
  const peaks = examples.map(({ activations, peak }) => activations[peak] ?? 0);
  return { binMin: short(Math.min(...peaks)), binMax: short(Math.max(...peaks)), binContains: share };
}

/** An id of the form that Neuronpedia gives its rows, the same at every export. */
function rowIdOf({ modelId, layer }: FeaturePlaceThere, feature: number, kind: string, at: number): string {
  return `c${sha256Of(JSON.stringify([modelId, layer, feature, kind, at])).slice(0, 24)}`;
}

/** Six significant digits: more than a float of the model's arithmetic is reproducible to. */
function short(value: number): number {
  return Number(value.toPrecision(6));
}

function plainToken(label: string): string {
  return storable(label.replaceAll("·", " "));
}

/** Text without what Postgres refuses to store. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", " ");
}
