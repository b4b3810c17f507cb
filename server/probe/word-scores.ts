import { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { type KendallResult, kendallTau, orderedTau, signOnlyTau, stringTau } from "../statistics/kendall.ts";
import { explainedShare, mean, pearson, standardDeviation } from "../statistics/moments.ts";
import { auroc, type RankingAccuracy, samePolarityRanking, spearmanRho } from "../statistics/ranks.ts";
import { bootstrapInterval, permutationTest, pick } from "../statistics/resampling.ts";
import { wilsonInterval } from "../statistics/wilson.ts";
import type { Agreement, KendallReport, LexiconEntry, ProbeSettings, SeedScores, WordScores } from "./report-types.ts";

/** A word with its predicted and its true value. */
export type WordPrediction = Pick<LexiconEntry, "word" | "predicted" | "true" | "occurrences">;

/**
 * Computes every statistic of words' predictions. Advances `random`; the words' order matters only to `stringTau`'s
 * ties.
 */
export async function wordScores(
  words: readonly WordPrediction[],
  settings: Pick<ProbeSettings, "resamples" | "permutations">,
  random: Random,
  pacer: Pacer = new Pacer(),
): Promise<WordScores> {
  const predicted = Float64Array.from(words, (word) => word.predicted);
  const truth = Float64Array.from(words, (word) => word.true);
  const positive = words.filter((word) => word.true > 0);
  const negative = words.filter((word) => word.true < 0);
  const why = whyUndefined(words);
  const signs = signOnlyTau(predicted, truth);
  const spearman = spearmanRho(predicted, truth);
  const ranking = samePolarityRanking(predicted, truth);
  const oneSided = positive.length === 0 || negative.length === 0;
  return {
    words: words.length,
    positiveWords: positive.length,
    negativeWords: negative.length,
    occurrences: words.reduce((sum, { occurrences }) => sum + occurrences, 0),
    kendall: {
      ...kendallOf(words),
      ...(await tauResampled({ predicted, truth, words, random, pacer }, settings)),
    },
    kendallPositiveOnly: kendallOf(positive),
    kendallNegativeOnly: kendallOf(negative),
    stringTauAsPublished: stringTauOf(words),
    stringTauNegativeOnlyAsPublished: stringTauOf(negative),
    signsAlone: {
      tau: orNull(signs.tau),
      p: orNull(signs.p),
      shuffledTau: orNull(signs.shuffledTau),
      undefinedBecause: Number.isNaN(signs.tau) ? (why ?? "all predictions have the same sign") : null,
    },
    signAccuracy: { positive: signAccuracy(positive), negative: signAccuracy(negative) },
    samePolarityRanking: { positive: rankingReport(ranking.positive), negative: rankingReport(ranking.negative) },
    spearman: { rho: orNull(spearman.rho), p: orNull(spearman.p), words: words.length, undefinedBecause: why },
    auroc: {
      value: oneSided
        ? null
        : auroc(
            predicted,
            Array.from(truth, (value) => value > 0),
          ),
      undefinedBecause: oneSided ? "there are no words of one of the polarities" : null,
    },
    agreement: await agreementOf({ predicted, truth, random: random.fork("agreement"), pacer }, settings),
  };
}

/** Figure 4: Spearman's correlation of log(1 + count in the tuning texts) with the size of the error, over words with a count. */
export function frequencyAndError(words: readonly LexiconEntry[]): WordScores["spearman"] {
  const counted = words.flatMap(({ tuningCount, predicted, true: truth }) =>
    tuningCount === null ? [] : [{ x: Math.log1p(tuningCount), y: Math.abs(predicted - truth) }],
  );
  const [x, y] = [counted.map((point) => point.x), counted.map((point) => point.y)];
  const { rho, p } = spearmanRho(x, y);
  const missing = words.length > 0 && counted.length === 0 ? "the texts of the tuning were not given" : undefined;
  const why = missing ?? whyEqual(x, "counts") ?? whyEqual(y, "errors") ?? null;
  return { rho: orNull(rho), p: orNull(p), words: counted.length, undefinedBecause: why };
}

/** Tau and sign accuracies of several predictions of the same words, summarised. */
export function seedScores(predictions: readonly (readonly WordPrediction[])[]): SeedScores {
  const shareOf = (words: readonly WordPrediction[], sign: number): number => {
    const chosen = words.filter((word) => Math.sign(word.true) === sign);
    return signAccuracy(chosen).share ?? Number.NaN;
  };
  return {
    seeds: predictions.length,
    tau: spread(predictions.map((words) => kendallOf(words).tau ?? Number.NaN)),
    positiveSignAccuracy: spread(predictions.map((words) => shareOf(words, 1))),
    negativeSignAccuracy: spread(predictions.map((words) => shareOf(words, -1))),
  };
}

/** Mean and standard deviation of the values that are numbers; null where there are too few. */
export function spread(values: readonly number[]): SeedScores["tau"] {
  const defined = values.filter((value) => !Number.isNaN(value));
  return {
    mean: defined.length > 0 ? orNull(mean(defined)) : null,
    sd: defined.length > 1 ? orNull(standardDeviation(defined)) : null,
  };
}

/** Counts the words, all of one polarity, whose prediction has the sign of their value. */
export function signAccuracy(
  words: readonly Pick<WordPrediction, "predicted" | "true">[],
): WordScores["signAccuracy"]["positive"] {
  const right = words.filter((word) => Math.sign(word.predicted) === Math.sign(word.true)).length;
  const { proportion, low, high } = wilsonInterval(right, words.length, CONFIDENCE);
  return { right, of: words.length, share: orNull(proportion), low, high, confidence: CONFIDENCE };
}

const CONFIDENCE = 0.95;

interface Scored {
  readonly predicted: Float64Array;
  readonly truth: Float64Array;
  readonly random: Random;
  readonly pacer: Pacer;
}

async function tauResampled(
  { predicted, truth, words, random, pacer }: Scored & { readonly words: readonly WordPrediction[] },
  { resamples, permutations }: Pick<ProbeSettings, "resamples" | "permutations">,
): Promise<Pick<WordScores["kendall"], "interval" | "permutationP" | "permutations">> {
  const groups = words.map(({ word }) => word);
  const tauOf = (rows: Int32Array): number => kendallTau(pick(predicted, rows), pick(truth, rows), "asymptotic").tau;
  const interval = await bootstrapInterval(groups, tauOf, {
    random: random.fork("bootstrap"),
    resamples,
    confidence: CONFIDENCE,
    pacer,
  });
  const test = await permutationTest(words.length, orderedTau(predicted, truth), {
    random: random.fork("permutation"),
    permutations,
    pacer,
  });
  const { low, high, confidence, undefinedResamples } = interval;
  return {
    interval: { low: orNull(low), high: orNull(high), confidence, resamples, undefinedResamples },
    permutationP: orNull(test.p),
    permutations,
  };
}

/** Correlation and explained variance over words, with intervals by bootstrap. */
async function agreementOf(
  { predicted, truth, random, pacer }: Scored,
  { resamples }: Pick<ProbeSettings, "resamples">,
): Promise<Agreement> {
  const intervalOf = async (
    name: string,
    statistic: (rows: Int32Array) => number,
  ): Promise<Agreement["r2Interval"]> => {
    const options = { random: random.fork(name), resamples, confidence: CONFIDENCE, pacer };
    const found = await bootstrapInterval([...truth.keys()], statistic, options);
    const { low, high, confidence, undefinedResamples } = found;
    return { low: orNull(low), high: orNull(high), confidence, resamples, undefinedResamples };
  };
  return {
    pearson: orNull(pearson(predicted, truth)),
    pearsonInterval: await intervalOf("pearson", (rows) => pearson(pick(predicted, rows), pick(truth, rows))),
    r2: orNull(explainedShare(predicted, truth)),
    r2Interval: await intervalOf("r2", (rows) => explainedShare(pick(predicted, rows), pick(truth, rows))),
  };
}

function kendallOf(words: readonly WordPrediction[]): KendallReport {
  const result = kendallTau(
    words.map((word) => word.predicted),
    words.map((word) => word.true),
  );
  return kendallReport(result, whyUndefined(words));
}

function stringTauOf(words: readonly WordPrediction[]): KendallReport {
  const result = stringTau(
    words.map(({ word }) => word),
    words.map((word) => word.true),
    words.map((word) => word.predicted),
  );
  return kendallReport(result, words.length < 2 ? tooFew(words.length) : null);
}

function kendallReport({ tau, p, method, n }: KendallResult, undefinedBecause: string | null): KendallReport {
  return { tau: orNull(tau), p: orNull(p), method, words: n, undefinedBecause };
}

function rankingReport({ pairs, right, accuracy }: RankingAccuracy): WordScores["samePolarityRanking"]["positive"] {
  return { pairs, right, share: orNull(accuracy) };
}

/** Why a correlation of predictions with values is undefined; null where it is defined. */
function whyUndefined(words: readonly WordPrediction[]): string | null {
  const predicted = words.map((word) => word.predicted);
  const truth = words.map((word) => word.true);
  return whyEqual(predicted, "predictions") ?? whyEqual(truth, "true values") ?? null;
}

function whyEqual(values: readonly number[], what: string): string | undefined {
  if (values.length < 2) return tooFew(values.length);
  return values.every((value) => value === values[0]) ? `all ${what} are equal` : undefined;
}

function tooFew(words: number): string {
  return `a rank correlation needs two words, and there ${words === 1 ? "is one" : "are none"}`;
}

/** Null for a number that JSON cannot represent. */
export function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
