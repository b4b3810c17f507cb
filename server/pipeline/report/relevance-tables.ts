/**
 * How many of the features that both sizes found relate to the task, in the tuned model and in the base model, layer by
 * layer.
 */

import { parseFeatureId } from "../../protocol/ablation.ts";
import { fisherExactP } from "../../statistics/fisher.ts";
import { wilsonInterval } from "../../statistics/wilson.ts";
import type { Autoencoders } from "../artifacts/autoencoders.ts";
import type { Explanations } from "../artifacts/explanations.ts";
import { type Cell, type Source, showCell, type Table } from "./document.ts";
import { table8 } from "./paper.ts";

export type Explained = Explanations["features"][number];
type Similarities = Autoencoders["similarities"];
type Model = "tuned" | "base";

export function isRelevant({ detail }: Explained): boolean {
  return detail.relevance?.relevant === true;
}

/** Features per layer in the paper's Appendix B. */
const listed = 10;

/** The features of highest similarity, in the form of the paper's Appendix B, beside the paper's own. */
export function similarTable(found: Explanations, similarities: Similarities, source: Source): Table {
  const layers = layersOf(found).map((layer) => ({
    layer,
    tuned: mostSimilarOf(found.features, similarities, { model: "tuned", layer }),
    base: mostSimilarOf(found.base, similarities, { model: "base", layer }),
  }));
  const [tuned, base] = [layers.flatMap((one) => one.tuned), layers.flatMap((one) => one.base)];
  const starred = (one: Explained): string => `${numberOf(one)}${isRelevant(one) ? "*" : ""}`;
  return {
    id: "table-8",
    title: "Features of highest similarity by layer (Table 8)",
    source,
    columns: ["layer", "features, the most similar first", "relevant", "base model: relevant"],
    rows: [
      ...layers.map((one) => [
        String(one.layer),
        one.tuned.map(starred).join(", "),
        relevantIn(one.tuned),
        relevantIn(one.base),
      ]),
      [`all ${tuned.length}`, null, relevantIn(tuned), relevantIn(base)],
      ...table8.map((cells) => [...cells]),
    ],
    notes: [
      'A star, and "relevant": the explanation has to do with the task. Base model: of as many features of its own dictionaries, chosen and explained in the same way' +
        `; that both shares are equal has p ${showCell(relevanceP(tuned, base))} (Fisher's exact test). ` +
        "The paper's rows are of a model tuned on the reward of its Appendix B, a DistilBERT classifier; relevant are those whose description by GPT-4 mentions opinions or reviews of movies.",
    ],
  };
}

/** All explained features, with the base model's as the control. */
export function relevanceTable(found: Explanations, source: Source): Table {
  const cells = (some: readonly Explained[]): Cell[] => {
    const relevant = relevantIn(some);
    return [some.length, relevant, some.length === 0 ? null : (100 * relevant) / some.length];
  };
  const ends = (end: "low" | "high"): Cell[] =>
    [found.features, found.base].flatMap((some) => [null, null, 100 * shareOf(some)[end]]);
  const inLayer = (some: readonly Explained[], layer: number) => some.filter((one) => layerOf(one) === layer);
  return {
    id: "relevance",
    title: "Explained features that have to do with the task",
    source,
    columns: [
      "layer",
      "tuned model: explained",
      "relevant",
      "per cent",
      "base model: explained",
      "relevant",
      "per cent",
    ],
    rows: [
      ...layersOf(found).map((layer) => [
        String(layer),
        ...cells(inLayer(found.features, layer)),
        ...cells(inLayer(found.base, layer)),
      ]),
      ["all", ...cells(found.features), ...cells(found.base)],
      ["all, 95 % low", ...ends("low")],
      ["all, 95 % high", ...ends("high")],
    ],
    notes: [
      "The base model's column is what the same texts, the same choice and the same judge find without any tuning. Wilson's intervals, as if features were independent. " +
        `That both shares are equal has p ${showCell(relevanceP(found.features, found.base))} (Fisher's exact test).`,
    ],
  };
}

/**
 * Compares the counts of relevant features in both models, to show whether relevance marks anything that tuning made.
 * Empty if either has no features.
 */
export function relevanceInWords({
  features,
  base,
  explainer,
}: Pick<Explanations, "features" | "base" | "explainer">): string[] {
  if (features.length === 0 || base.length === 0) return [];
  const p = relevanceP(features, base);
  const counts = `${relevantIn(features)} of ${features.length} beside ${relevantIn(base)} of ${base.length}, Fisher's exact p ${showCell(p)}`;
  if (p >= significant)
    return [
      `The explainer's relevance (${explainer}) marks no more features of the tuned model than of the base model, beyond chance (${counts}): it selects features about words that the feedback rates, which were there before tuning, and nothing that tuning can be shown to have made.`,
    ];
  const more = shareOf(features).proportion > shareOf(base).proportion ? "more" : "fewer";
  return [
    `The explainer's relevance (${explainer}) marks ${more} features of the tuned model than of the base model (${counts}).`,
  ];
}

/** Whether the tuned model has more relevant features than the base model, beyond chance. */
export function isMoreRelevant(tuned: readonly Explained[], base: readonly Explained[]): boolean {
  return relevanceP(tuned, base) < significant && shareOf(tuned).proportion > shareOf(base).proportion;
}

const significant = 0.05;

function relevanceP(tuned: readonly Explained[], base: readonly Explained[]): number {
  return fisherExactP({ hits: relevantIn(tuned), of: tuned.length }, { hits: relevantIn(base), of: base.length });
}

/** The relevant share in words: `16 of 150 (10.7 %)`. */
export function relevantInWords(some: readonly Explained[]): string {
  const share = some.length === 0 ? "" : ` (${showCell((100 * relevantIn(some)) / some.length)} %)`;
  return `${relevantIn(some)} of ${some.length}${share}`;
}

function mostSimilarOf(
  explained: readonly Explained[],
  similarities: Similarities,
  { model, layer }: { readonly model: Model; readonly layer: number },
): Explained[] {
  const ofLayer = new Map(explained.filter((one) => layerOf(one) === layer).map((one) => [numberOf(one), one]));
  const matches = similarities.find((one) => one.model === model && one.layer === layer)?.matches ?? [];
  return matches.flatMap(({ small }) => ofLayer.get(small) ?? []).slice(0, listed);
}

function layersOf({ features, base }: Explanations): number[] {
  return [...new Set([...features, ...base].map(layerOf))].sort((a, b) => a - b);
}

function relevantIn(some: readonly Explained[]): number {
  return some.filter(isRelevant).length;
}

function shareOf(some: readonly Explained[]) {
  return wilsonInterval(relevantIn(some), some.length);
}

function layerOf({ id }: Explained): number {
  return parseFeatureId(id)?.layer ?? -1;
}

function numberOf({ id }: Explained): number {
  return parseFeatureId(id)?.feature ?? -1;
}
