/** The data of a report's figures; drawing them is up to the viewer. */

import type { AblationResult } from "../../ablate/result.ts";
import type { LexiconEntry, RegressionReport } from "../../probe/report-types.ts";
import type { Autoencoders } from "../artifacts/autoencoders.ts";
import type { Divergence } from "../artifacts/divergence.ts";
import { effectWords } from "./ablation-words.ts";
import type { Figure, Source } from "./document.ts";

/** Figure 3 of the paper's kind: how far each layer moved, by the measure that chose the layers. */
export function divergenceFigure({ measure, layers, chosen }: Divergence, source: Source): Figure {
  const values = layers.map((layer) => measureOf(layer, measure));
  const isStudied = layers.map(({ layer }) => chosen.includes(layer));
  return {
    kind: "bars",
    id: "figure-divergence",
    title: "Divergence by layer",
    source,
    x: "layer",
    y: measureNames[measure] ?? measure,
    categories: layers.map(({ layer }) => String(layer)),
    groups: [
      { name: "studied", values: values.map((value, at) => (isStudied[at] ? value : null)) },
      { name: "not studied", values: values.map((value, at) => (isStudied[at] ? null : value)) },
    ],
    notes: [],
  };
}

/** Change of the mean reward when features are removed, beside its controls. Undefined if nothing was changed. */
export function ablationFigure(result: AblationResult, source: Source): Figure | undefined {
  const { features, conditions, random, prompts } = result;
  const names = features.every(({ factor }) => factor === 0) ? { ...changeNames, ...removalNames } : changeNames;
  const own = conditions.flatMap(({ kind, reward: { change } }) =>
    change === null || kind === "none" || kind === "random" ? [] : [{ ...names[kind], change }],
  );
  const all = [...own, ...(random === null ? [] : [{ label: "random sets", control: true, change: random.change }])];
  if (all.length === 0) return undefined;
  return {
    kind: "intervals",
    id: "figure-ablation",
    title: "Ablation with its controls",
    source,
    x: `change of ${effectWords(result).effect}`,
    rows: all.map(({ label, control, change: { mean, low, high } }) => ({ label, control, value: mean, low, high })),
    notes: [`${prompts} ${effectWords(result).units}; 95 % intervals.`],
  };
}

const removalNames = {
  this: { label: "features removed", control: false },
  mean: { label: "features at their mean", control: false },
} as const;

const changeNames = {
  this: { label: "features scaled", control: false },
  mean: { label: "scaled about their mean", control: false },
  reconstruction: { label: "reconstruction only", control: true },
} as const;

const measureNames: Readonly<Record<string, string>> = {
  sumOfNorms: "sum of norms of differences",
  jointL2: "joint L2 distance",
  mlpOnly: "L2 distance of the MLP",
  relative: "relative L2 distance",
};

function measureOf(layer: Divergence["layers"][number], measure: string): number | null {
  return Object.entries(layer).find(([name]) => name === measure)?.[1] ?? null;
}

/** Share of variance explained and of loss recovered, one bar per autoencoder. */
export function qualityFigure({ saes }: Autoencoders, source: Source): Figure {
  return {
    kind: "bars",
    id: "figure-sae-quality",
    title: "Quality of the autoencoders",
    source,
    x: "model, layer, features",
    y: "share",
    categories: saes.map(({ model, layer, F }) => `${model} L${layer} ${F}`),
    groups: [
      { name: "variance explained", values: saes.map(({ fve }) => fve) },
      { name: "loss recovered", values: saes.map(({ lossRecovered }) => lossRecovered) },
    ],
    notes: [],
  };
}

/** The reconstructed lexicon of each split against the true one: one point per word. */
export function predictionFigure({ byTriple, byWord }: RegressionReport, source: Source): Figure {
  const point = ({ word, true: x, predicted: y }: LexiconEntry) => ({ x, y, label: word });
  return {
    kind: "points",
    id: "figure-predicted-true",
    title: "Predicted against true reward",
    source,
    x: "true reward",
    y: "predicted reward",
    diagonal: true,
    groups: [
      { name: "by triple", points: byTriple.lexicon.map(point) },
      { name: "by word", points: byWord.lexicon.map(point) },
    ],
    notes: ["A point is a word. By word, the probe has never seen it."],
  };
}

/** Figure 4 of the paper: a word's frequency in the tuning texts against the probe's error. */
export function frequencyFigure({ byTriple, byWord }: RegressionReport, source: Source): Figure {
  const points = (lexicon: readonly LexiconEntry[]) =>
    lexicon.flatMap(({ word, predicted, true: value, tuningCount }) =>
      tuningCount === null ? [] : [{ x: Math.log1p(tuningCount), y: Math.abs(predicted - value), label: word }],
    );
  return {
    kind: "points",
    id: "figure-frequency-error",
    title: "Frequency in the tuning texts against error",
    source,
    x: "log(1 + count in the tuning texts)",
    y: "|predicted - true|",
    diagonal: false,
    groups: [
      { name: "by triple", points: points(byTriple.lexicon) },
      { name: "by word", points: points(byWord.lexicon) },
    ],
    notes: [],
  };
}
