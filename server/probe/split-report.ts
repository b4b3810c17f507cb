/** The probe on one split: its scores beside those of other inputs and of its controls. */
import type { Pacer } from "../common/pacer.ts";
import { Random } from "../common/random.ts";
import { memoryScores } from "./controls.ts";
import { tauDifference, type WordValues } from "./differences.ts";
import { type FoldDraw, refitTest } from "./fold-draws.ts";
import type { FoldResult } from "./fold-fit.ts";
import { drawnInputs, type KeepPart, type PartContext, type ProbeInput, targetFor } from "./parts.ts";
import { type ControlInput, controlInputs, type ProbeData } from "./probe-data.ts";
import type { LexiconEntry, PairedDifference, ProbeSettings, SplitReport, WordScores } from "./report-types.ts";
import type { Split, SplitKind } from "./splits.ts";
import { describeFold, wordMeans } from "./word-means.ts";
import { frequencyAndError, seedScores, type WordPrediction, wordScores } from "./word-scores.ts";

export interface SplitContext extends PartContext {
  readonly data: ProbeData;
  readonly keep: KeepPart;
}

export async function evaluateSplit(
  split: Split,
  context: SplitContext,
): Promise<{ readonly report: SplitReport; readonly folds: readonly FoldResult[] }> {
  const { data, settings, rows, keep, pacer } = context;
  const random = Random.fromSeed(settings.seed).fork(`scores by ${split.kind}`);
  const target = targetFor(data.features, context);
  const folds = await foldResults("features", split, context);
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
    untrainedProbe: await keep({ kind: "untrained", split: split.kind }),
    shuffledLabels: seedScores(await ofSeeds(({ shuffled }) => shuffled)),
    wordMemory: memoryScores(await ofSeeds(({ memory }) => memory), rows.words, settings),
    frequencyAndError: frequencyAndError(lexicon),
  };
  return { report, folds };
}

async function foldResults(input: ProbeInput, split: Split, context: SplitContext): Promise<FoldResult[]> {
  const results: FoldResult[] = [];
  for (const fold of split.folds.keys())
    results.push(await context.keep({ kind: "fit", split: split.kind, input, fold }));
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
    const results = await foldResults(name, split, context);
    const predicted = results.map((result) => result.predicted);
    found.set(name, wordMeans(split, rows.words, targetFor(features, context).truth, predicted, settings));
  }
  return found;
}

/** Draws further folds by word for the inputs that are compared over them. */
async function foldDraws(kind: SplitKind, context: SplitContext): Promise<ReadonlyMap<ProbeInput, FoldDraw[]>> {
  const { data, settings, keep } = context;
  const found = new Map<ProbeInput, FoldDraw[]>();
  if (kind === "triple") return found;
  for (const input of drawnInputs) {
    if (data[input] === undefined) continue;
    const draws: FoldDraw[] = [];
    for (let draw = 0; draw < settings.foldDraws; draw++) draws.push(await keep({ kind: "draw", input, draw }));
    found.set(input, draws);
  }
  return found;
}

interface Compared {
  readonly own: readonly WordPrediction[];
  readonly controls: ReadonlyMap<ControlInput, readonly WordPrediction[]>;
  readonly draws: ReadonlyMap<ProbeInput, FoldDraw[]>;
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
