/**
 * The regression probe (Marks et al., section 3.3; reference/method.md 1.9): does a linear reading of the features at a word
 * give back what the feedback says of it? Answered twice, for words that the probe knows from other sentences (split by
 * triple) and for words that it never saw (split by word), each beside controls that could give the same number for nothing.
 */
import type { z } from "zod";
import { LfpError } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import type { Triple } from "../tasks/task.ts";
import { activationDeltas, rewardScale } from "./deltas.ts";
import { type Familiarity, familiarityOf, leveragesSchema } from "./familiarity.ts";
import { countNonZero } from "./features.loops.ts";
import { polarRows, type TripleFeatures } from "./features.ts";
import { type FoldResult, fitFold, foldResultSchema, randomSigns } from "./fold-fit.ts";
import { type LinearProbe, laidOnRange } from "./linear-probe.ts";
import type { LexiconEntry, ProbeReport, ProbeSettings, SeedScores, SplitReport } from "./report-types.ts";
import { seedScoresSchema } from "./report-types.ts";
import { type Split, splitByTriple, splitByWord } from "./splits.ts";
import { frequencyAndError, seedScores, signAccuracy, spread, type WordPrediction, wordScores } from "./word-scores.ts";

export interface ProbeData {
  readonly triples: readonly Triple[];
  /** What each target word is worth to the feedback. */
  readonly wordValues: ReadonlyMap<string, number>;
  readonly features: TripleFeatures;
  /** MLP outputs of the same triples, for the baseline. */
  readonly rawActivations?: TripleFeatures;
  /** Features of the same triples in the model before tuning, for the control. */
  readonly baseModel?: TripleFeatures;
  /** How often each word stands in the texts that the model was tuned on; a word that is missing stands nowhere. */
  readonly tuningCounts?: ReadonlyMap<string, number>;
}

/** Where parts of a long evaluation are kept, so that a cut one need not begin anew. Every part is plain JSON. */
export interface PartStore {
  /** What was saved under this name, or undefined. */
  find(part: string): unknown;
  save(part: string, result: unknown): Promise<void>;
}

export interface ProbeEvaluation {
  readonly report: ProbeReport;
  /** Fitted on the training triples of the split by triple: the one whose test is `report.byTriple`. */
  readonly probe: LinearProbe;
  /** The triples that it was tested on. */
  readonly testTriples: readonly string[];
  readonly familiarity: Familiarity;
}

/** A target word that the feedback does not rate. */
export class UnratedWordError extends LfpError {
  readonly code = "input";
}

/**
 * Fits and tests the probe. A pure function of data and settings: equal ones give equal JSON. Throws `TooFewTriplesError` and
 * `UnratedWordError`.
 */
export async function evaluateProbe(
  data: ProbeData,
  settings: ProbeSettings,
  parts: PartStore = forgetful,
): Promise<ProbeEvaluation> {
  const { triples, features } = data;
  const random = Random.fromSeed(settings.seed);
  const rows = ratedRows(data);
  const deltas = activationDeltas(features);
  const byTriple = splitByTriple(triples.length, settings.trainShare, random.fork("split by triple"));
  const byWord = splitByWord(triples, settings.wordFolds, random.fork("split by word"));
  const context = { data, settings, rows, parts };
  const first = await evaluateSplit(byTriple, context);
  const second = await evaluateSplit(byWord, context);
  const polar = polarRows(features);
  const report: ProbeReport = {
    settings,
    triples: triples.length,
    features: {
      total: polar.columns,
      layers: [...features.layers],
      nonZero: countNonZero(polar.data) / polar.data.length,
    },
    deltas: rewardScale(deltas),
    byTriple: first.report,
    byWord: second.report,
  };
  const testRows = byTriple.folds[0]?.test ?? new Int32Array();
  const tested = new Set(Array.from(testRows, (row) => row % triples.length));
  const testTriples = triples.filter((_, index) => tested.has(index)).map(({ id }) => id);
  const familiarity = await familiarityOf(features, {
    train: byTriple.folds[0]?.train ?? new Int32Array(),
    byWord,
    alpha: settings.alpha,
    heldOut: (fold, compute) => part(parts, `familiarity/${fold}`, leveragesSchema, compute),
  });
  return { report, probe: probeOf(first.folds[0], features), testTriples, familiarity };
}

interface Context {
  readonly data: ProbeData;
  readonly settings: ProbeSettings;
  readonly rows: RatedRows;
  readonly parts: PartStore;
}

/** Word and value of every polar row. */
interface RatedRows {
  readonly words: readonly string[];
  readonly values: Float64Array;
}

async function evaluateSplit(
  split: Split,
  context: Context,
): Promise<{ readonly report: SplitReport; readonly folds: readonly FoldResult[] }> {
  const { data, settings, rows } = context;
  const random = Random.fromSeed(settings.seed).fork(`scores by ${split.kind}`);
  const folds = await foldResults("probe", data.features, split, context, true);
  const predictions = (of: (fold: FoldResult) => readonly number[] | undefined) =>
    wordMeans(
      split,
      rows,
      folds.map((fold) => of(fold) ?? []),
      settings,
    );
  const own = predictions((fold) => fold.predicted);
  const lexicon = own.map(
    (word): LexiconEntry => ({
      ...word,
      tuningCount: data.tuningCounts ? (data.tuningCounts.get(word.word) ?? 0) : null,
    }),
  );
  const seeds = [...Array(settings.labelShuffles).keys()];
  const baseline = async (name: "rawActivations" | "baseModel") => {
    const features = data[name];
    if (features === undefined) return null;
    const results = await foldResults(name, features, split, context, false);
    const words = wordMeans(
      split,
      rows,
      results.map(({ predicted }) => predicted),
      settings,
    );
    return wordScores(words, settings, random.fork(name));
  };
  const report: SplitReport = {
    split: { kind: split.kind, folds: split.folds.map((fold) => describeFold(fold, rows)) },
    probe: wordScores(own, settings, random.fork("probe")),
    lexicon,
    rawActivations: await baseline("rawActivations"),
    baseModel: await baseline("baseModel"),
    untrainedProbe: await untrainedScores(split, context),
    shuffledLabels: seedScores(seeds.map((seed) => predictions((fold) => fold.shuffled[seed]))),
    wordMemory: memoryScores(
      seeds.map((seed) => predictions((fold) => fold.memory[seed])),
      rows,
      settings,
    ),
    frequencyAndError: frequencyAndError(lexicon),
  };
  return { report, folds };
}

async function foldResults(
  name: string,
  features: TripleFeatures,
  split: Split,
  { settings, rows, parts }: Context,
  controls: boolean,
): Promise<FoldResult[]> {
  const deltas = activationDeltas(features);
  const results: FoldResult[] = [];
  for (const [index, fold] of split.folds.entries()) {
    const fit = () => fitFold({ features, deltas, fold, index, words: rows.words, settings, controls });
    results.push(await part(parts, `${split.kind}/${name}/${index}`, foldResultSchema, fit));
  }
  return results;
}

/** Xavier-uniform weights and no intercept, as `torch.nn.init.xavier_uniform_` draws for one output; laid on the range as published. */
async function untrainedScores(split: Split, { data, settings, rows, parts }: Context): Promise<SeedScores> {
  return await part(parts, `${split.kind}/untrained`, seedScoresSchema, () => {
    const features = polarRows(data.features);
    const bound = Math.sqrt(6 / (features.columns + 1));
    const predictions = Array.from({ length: settings.xavierSeeds }, (_, seed) => {
      const random = Random.fromSeed(settings.seed).fork(`xavier ${seed}`);
      const weights = new Float64Array(features.columns).map(() => bound * (2 * random.uniform() - 1));
      const all = predictLinear({ weights, intercept: 0 }, features);
      const tested = split.folds.map(({ test }) => [
        ...laidOnRange(Float64Array.from(test, (row) => all[row] ?? Number.NaN)).values,
      ]);
      return wordMeans(split, rows, tested, { normalise: "predictions" });
    });
    return seedScores(predictions);
  });
}

/** The signs that the probes were fitted to, against what they say. */
function memoryScores(
  predictions: readonly (readonly WordPrediction[])[],
  { words }: RatedRows,
  { seed }: ProbeSettings,
): SplitReport["wordMemory"] {
  const shares = predictions.map((predicted, index) => {
    const signs = randomSigns(words, index, Random.fromSeed(seed));
    const relabelled = predicted.map((word) => ({ ...word, true: signs.get(word.word) ?? 0 }));
    return signAccuracy(relabelled).share ?? Number.NaN;
  });
  return { seeds: predictions.length, signAccuracy: spread(shares) };
}

/** Means over the test rows of each word, in alphabetical order; rounded to three digits where predictions are scaled, as published. */
function wordMeans(
  split: Split,
  { words, values }: RatedRows,
  predictedByFold: readonly (readonly number[])[],
  { normalise }: Pick<ProbeSettings, "normalise">,
): WordPrediction[] {
  const sums = new Map<string, { sum: number; occurrences: number; true: number }>();
  for (const [index, { test }] of split.folds.entries()) {
    for (const [at, row] of test.entries()) {
      const word = words[row] ?? "";
      const entry = sums.get(word) ?? { sum: 0, occurrences: 0, true: values[row] ?? Number.NaN };
      sums.set(word, entry);
      entry.sum += predictedByFold[index]?.[at] ?? Number.NaN;
      entry.occurrences += 1;
    }
  }
  return [...sums]
    .sort(([a], [b]) => Number(a > b) - Number(a < b))
    .map(([word, { sum, occurrences, true: value }]) => {
      const mean = sum / occurrences;
      const predicted = normalise === "predictions" ? Math.round(mean * 1000) / 1000 : mean;
      return { word, predicted, true: value, occurrences };
    });
}

function describeFold(
  { train, test }: Split["folds"][number],
  { words }: RatedRows,
): SplitReport["split"]["folds"][number] {
  const wordsOf = (rows: Int32Array): Set<string> => new Set(Array.from(rows, (row) => words[row] ?? ""));
  const [trained, tested] = [wordsOf(train), wordsOf(test)];
  return {
    trainRows: train.length,
    testRows: test.length,
    testWords: tested.size,
    testWordsSeenInTraining: [...tested].filter((word) => trained.has(word)).length,
  };
}

function ratedRows({ triples, wordValues }: ProbeData): RatedRows {
  const words = [...triples.map(({ positive }) => positive.word), ...triples.map(({ negative }) => negative.word)];
  const values = Float64Array.from(words, (word) => {
    const value = wordValues.get(word);
    if (value === undefined)
      throw new UnratedWordError(`the feedback has no value for "${word}": make the triples from its own words`);
    return value;
  });
  return { words, values };
}

function probeOf(result: FoldResult | undefined, { layers }: TripleFeatures): LinearProbe {
  const { weights = [], intercept = 0, deltaScale = null, outputScale = null } = result ?? {};
  return { layers, weights: Float32Array.from(weights), intercept, deltaScale, outputScale };
}

/** What was saved under this name, if it is sound; else computes and saves it. */
async function part<T>(parts: PartStore, name: string, schema: z.ZodType<T>, compute: () => T): Promise<T> {
  const saved = schema.safeParse(parts.find(name));
  if (saved.success) return saved.data;
  const result = compute();
  await parts.save(name, result);
  return result;
}

const forgetful: PartStore = { find: () => undefined, save: async () => undefined };
