/** The probe on one split: its scores beside those of other inputs and of its controls. */
import type { Pacer } from "../common/pacer.ts";
import { Random } from "../common/random.ts";
import { memoryScores, untrainedScores } from "./controls.ts";
import { tauDifference, type WordValues } from "./differences.ts";
import type { TripleFeatures } from "./features.ts";
import { drawFolds, type FoldDraw, foldDrawSchema, refitTest } from "./fold-draws.ts";
import { type FoldResult, fitFold, foldResultSchema } from "./fold-fit.ts";
import { type ControlInput, controlInputs, type ProbeData } from "./probe-data.ts";
import {
  type LexiconEntry,
  type PairedDifference,
  type ProbeSettings,
  type SplitReport,
  seedScoresSchema,
  type WordScores,
} from "./report-types.ts";
import type { Keep } from "./saved-parts.ts";
import type { Split, SplitKind } from "./splits.ts";
import { type ProbeTarget, targetOf } from "./targets.ts";
import { describeFold, type RatedRows, wordMeans } from "./word-means.ts";
import { frequencyAndError, seedScores, type WordPrediction, wordScores } from "./word-scores.ts";

export interface SplitContext {
  readonly data: ProbeData;
  readonly settings: ProbeSettings;
  readonly rows: RatedRows;
  readonly keep: Keep;
  /** Observes the abort signal, within parts too. */
  readonly pacer: Pacer;
}

/** `features`, or a control. */
type Input = "features" | ControlInput;

export async function evaluateSplit(
  split: Split,
  context: SplitContext,
): Promise<{ readonly report: SplitReport; readonly folds: readonly FoldResult[] }> {
  const { data, settings, rows, keep, pacer } = context;
  const random = Random.fromSeed(settings.seed).fork(`scores by ${split.kind}`);
  const target = targetFor(data.features, context);
  const folds = await foldResults("features", data.features, split, context);
  const predictions = (of: (fold: FoldResult) => readonly number[] | undefined): WordPrediction[] =>
    wordMeans(
      split,
      rows.words,
      target.truth,
      folds.map((fold) => of(fold) ?? []),
      settings,
    );
  const own = predictions(({ predicted }) => predicted);
  const lexicon = own.map((word) => lexiconEntry(word, data, settings));
  const seeds = [...Array(settings.labelShuffles).keys()];
  const controls = await controlWords(split, context);
  const scored = async (name: ControlInput): Promise<WordScores | null> => {
    const words = controls.get(name);
    return words === undefined ? null : await wordScores(words, settings, random.fork(name), pacer);
  };
  const ofSeeds = async (listsOf: (fold: FoldResult) => readonly (readonly number[])[]) => {
    const all: WordPrediction[][] = [];
    for (const seed of seeds) {
      await pacer.pause();
      all.push(predictions((fold) => listsOf(fold)[seed]));
    }
    return all;
  };
  const draws = await foldDraws(split.kind, context);
  const untrained = () => untrainedScores(data, split, { words: rows.words, truth: target.truth }, settings, pacer);
  const report: SplitReport = {
    split: { kind: split.kind, folds: split.folds.map((fold) => describeFold(fold, rows.words)) },
    probe: await wordScores(own, settings, random.fork("probe"), pacer),
    lexicon,
    rawActivations: await scored("rawActivations"),
    baseModel: await scored("baseModel"),
    staticEmbedding: await scored("staticEmbedding"),
    differences: await differences({ own, controls, draws }, settings, { random: random.fork("differences"), pacer }),
    refitted: split.kind === "word" ? refitTest(draws.get("features") ?? [], settings.refits) : null,
    meant:
      settings.target === "deltas"
        ? null
        : await meantScores(lexicon, settings, { random: random.fork("meant"), pacer }),
    untrainedProbe: await keep(`${split.kind}/untrained`, seedScoresSchema, untrained),
    shuffledLabels: seedScores(await ofSeeds(({ shuffled }) => shuffled)),
    wordMemory: memoryScores(await ofSeeds(({ memory }) => memory), rows.words, settings),
    frequencyAndError: frequencyAndError(lexicon),
  };
  return { report, folds };
}

/** Names of the parts of `evaluateSplit`, in order. */
export function partsOfSplit(kind: SplitKind, data: Pick<ProbeData, ControlInput>, settings: ProbeSettings): string[] {
  const folds = kind === "word" ? settings.wordFolds : 1;
  const inputs: Input[] = ["features", ...controlInputs.filter((name) => data[name] !== undefined)];
  const fits = inputs.flatMap((name) => Array.from({ length: folds }, (_, fold) => fitPart(kind, name, fold)));
  const draws = kind === "triple" ? [] : drawnInputs.filter((name) => inputs.includes(name));
  return [
    ...fits,
    ...draws.flatMap((name) => Array.from({ length: settings.foldDraws }, (_, draw) => drawPart(name, draw))),
    `${kind}/untrained`,
  ];
}

/** Raw activations have no further draws: they are dense, and take as long as all other inputs together. */
const drawnInputs: readonly Input[] = ["features", "baseModel", "staticEmbedding"];

function fitPart(kind: SplitKind, name: Input, fold: number): string {
  return `${kind}/${name}/${fold}`;
}

function drawPart(name: Input, draw: number): string {
  return `draws/${name}/${draw}`;
}

function targetFor(features: TripleFeatures, { data, rows, settings }: SplitContext): ProbeTarget {
  return targetOf({ features, ...rows, range: data.ratings.range, logRatios: data.logRatios, settings });
}

async function foldResults(
  name: Input,
  features: TripleFeatures,
  split: Split,
  context: SplitContext,
): Promise<FoldResult[]> {
  const { settings, rows, keep, pacer } = context;
  const target = targetFor(features, context);
  const controls = name === "features";
  const results: FoldResult[] = [];
  for (const [index, fold] of split.folds.entries()) {
    const fit = () => fitFold({ features, target, fold, index, words: rows.words, settings, controls, pacer });
    results.push(await keep(fitPart(split.kind, name, index), foldResultSchema, fit));
  }
  return results;
}

/** Predictions of the words by the same probe on a control input. */
async function controlWords(
  split: Split,
  context: SplitContext,
): Promise<ReadonlyMap<ControlInput, readonly WordPrediction[]>> {
  const { data, rows, settings } = context;
  const found = new Map<ControlInput, readonly WordPrediction[]>();
  for (const name of controlInputs) {
    const features = data[name];
    if (features === undefined) continue;
    const results = await foldResults(name, features, split, context);
    const predicted = results.map((result) => result.predicted);
    found.set(name, wordMeans(split, rows.words, targetFor(features, context).truth, predicted, settings));
  }
  return found;
}

/** Draws further folds by word for the inputs that are compared over them. */
async function foldDraws(kind: SplitKind, context: SplitContext): Promise<ReadonlyMap<Input, FoldDraw[]>> {
  const { data, settings, keep, pacer } = context;
  const found = new Map<Input, FoldDraw[]>();
  if (kind === "triple") return found;
  for (const name of drawnInputs) {
    const features = data[name];
    if (features === undefined) continue;
    const target = targetFor(features, context);
    const draws: FoldDraw[] = [];
    for (let draw = 0; draw < settings.foldDraws; draw++) {
      const problem = { triples: data.triples, features, target, settings, draw, pacer };
      const drawn = () => drawFolds({ ...problem, permuted: name === "features" });
      draws.push(await keep(drawPart(name, draw), foldDrawSchema, drawn));
    }
    found.set(name, draws);
  }
  return found;
}

interface Compared {
  readonly own: readonly WordPrediction[];
  readonly controls: ReadonlyMap<ControlInput, readonly WordPrediction[]>;
  readonly draws: ReadonlyMap<Input, FoldDraw[]>;
}

/** Settings of a statistic that draws at random. */
interface Draws {
  readonly random: Random;
  readonly pacer: Pacer;
}

/** Differences over the draws of folds if both inputs have them, otherwise on the split itself. */
async function differences(
  { own, controls, draws }: Compared,
  settings: ProbeSettings,
  { random, pacer }: Draws,
): Promise<SplitReport["differences"]> {
  const onSplit = (words: readonly WordPrediction[]): WordValues[] => [
    { predicted: words.map(({ predicted }) => predicted), truth: words.map((word) => word.true) },
  ];
  const differenceTo = async (name: ControlInput): Promise<PairedDifference | null> => {
    const words = controls.get(name);
    if (words === undefined) return null;
    const [ours, theirs] = [draws.get("features"), draws.get(name)];
    const isDrawn = ours !== undefined && theirs !== undefined;
    const both = isDrawn ? ([ours, theirs] as const) : ([onSplit(own), onSplit(words)] as const);
    return await tauDifference(...both, settings, { random: random.fork(name), pacer });
  };
  return {
    rawActivations: await differenceTo("rawActivations"),
    baseModel: await differenceTo("baseModel"),
    staticEmbedding: await differenceTo("staticEmbedding"),
  };
}

function lexiconEntry(
  word: WordPrediction,
  { tuningCounts, ratings }: ProbeData,
  { target }: ProbeSettings,
): LexiconEntry {
  return {
    ...word,
    tuningCount: tuningCounts ? (tuningCounts.get(word.word) ?? 0) : null,
    rating: target === "deltas" ? null : (ratings.values.get(word.word) ?? null),
  };
}

/** Scores the predictions, and the targets of the fit, against the ratings. */
async function meantScores(
  lexicon: readonly LexiconEntry[],
  settings: ProbeSettings,
  { random, pacer }: Draws,
): Promise<SplitReport["meant"]> {
  const rated = lexicon.map((entry) => ({ ...entry, true: entry.rating ?? Number.NaN }));
  const measured = rated.map((entry, at) => ({ ...entry, predicted: lexicon[at]?.true ?? Number.NaN }));
  return {
    probe: await wordScores(rated, settings, random.fork("probe"), pacer),
    target: await wordScores(measured, settings, random.fork("target"), pacer),
  };
}
