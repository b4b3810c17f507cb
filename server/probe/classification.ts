/**
 * The classification probe (Marks et al., Table 3; reference/preferences.md 3.7): can a linear function of features
 * tell liked answers from disliked ones? A row is an answer given its prompt, its features the mean over the answer's
 * tokens. No prompt is on both sides of a fit, and every score stands beside inputs that know nothing of what tuning
 * changed.
 */
import { z } from "zod";
import { invariant } from "../common/errors.ts";
import { Pacer } from "../common/pacer.ts";
import { Random } from "../common/random.ts";
import { type GroupFold, groupFolds } from "../statistics/group-folds.ts";
import { type RowMatrix, rowMatrix } from "../statistics/linear-algebra.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { percentile } from "../statistics/percentile.ts";
import type { Contrast } from "../tasks/contrast.ts";
import { accuracyOf, answerScores, aurocDifference, aurocOf, type ScoringOptions } from "./answer-scores.ts";
import { publishedClassification } from "./as-published.ts";
import { bagOfWords } from "./bag-of-words.ts";
import {
  type AnswerScores,
  type BaselineName,
  baselineNames,
  type ClassificationReport,
  type ClassificationSettings,
} from "./classification-types.ts";
import { countNonZero } from "./features.loops.ts";
import type { SpanFeatures } from "./features.ts";
import {
  type ClassifierInput,
  chooseStrength,
  classifierOf,
  fixedInput,
  named,
  roughly,
} from "./grouped-classifier.ts";
import { type LinearProbe, rounded } from "./linear-probe.ts";
import { forgetful, type Keep, keeper, type PartStore } from "./saved-parts.ts";

/** What is known of the `spansOf` contrasts: n liked answers, n disliked ones, then the neutral ones. */
export interface ClassificationData {
  readonly contrasts: readonly Contrast[];
  /** Features of the tuned model, the activations that they encode, and features of the model before tuning. */
  readonly features: SpanFeatures;
  readonly rawActivations?: SpanFeatures;
  readonly baseModel?: SpanFeatures;
  /** lambda of every answer in nats [S]: summed over its tokens. */
  readonly logRatios?: Float32Array;
  /** Number of each answer's tokens [S]. */
  readonly tokens: Int32Array;
  /** Number of answers of which tokens, or of whose prompts, were left out; 0 by default. */
  readonly cut?: number;
  /** Features as the published code takes them, of liked and disliked answers [2n]. */
  readonly published?: SpanFeatures;
}

export interface ClassificationEvaluation {
  readonly report: ClassificationReport;
  /** Fitted on all contrasts; the report's scores are those of the folds' probes. */
  readonly probe: LinearProbe;
}

/**
 * Fits and tests the probe. A pure function of data and settings: equal ones give equal JSON. Throws
 * `TooFewGroupsError`, and the signal's reason soon after it is aborted.
 */
export async function evaluateClassification(
  data: ClassificationData,
  settings: ClassificationSettings,
  parts: PartStore = forgetful,
  signal?: AbortSignal,
): Promise<ClassificationEvaluation> {
  const study = studyOf(data, settings, new Pacer(signal), keeper(parts));
  const inputs = inputsOf(data, study.n, settings);
  const own = await crossValidated("features", inputs.features, study);
  const found: Found = { features: own };
  for (const name of baselineNames) {
    const input = inputs[name];
    if (input !== undefined) found[name] = await crossValidated(name, input, study);
  }
  const shuffled = await shuffledScores(inputs.features, own.strengths, study);
  const { probe, strength } = await fitOnAll(inputs.features, data.features, study);
  const report = await reportOf({ data, study, found, shuffled, strength, probe });
  return { report, probe };
}

/** Names of all parts that an evaluation stores, in order. */
export function classificationParts(data: ClassificationData, settings: ClassificationSettings): string[] {
  const inputs = inputsOf(data, data.contrasts.length, settings);
  const folds = [...Array(settings.folds).keys()];
  const names = ["features", ...baselineNames.filter((name) => inputs[name] !== undefined), "shuffled"];
  return [...names.flatMap((name) => folds.map((fold) => `${name}/${fold}`)), "probe"];
}

type InputName = "features" | BaselineName;
type Found = { features: HeldOut } & { [K in BaselineName]?: HeldOut };

/** What all fits share. */
interface Study {
  /** Number of contrasts. */
  readonly n: number;
  /** Of all rows [2n]. */
  readonly labels: readonly boolean[];
  readonly groups: readonly string[];
  readonly folds: readonly GroupFold[];
  readonly settings: ClassificationSettings;
  readonly pacer: Pacer;
  readonly keep: Keep;
}

function studyOf({ contrasts }: ClassificationData, settings: ClassificationSettings, pacer: Pacer, keep: Keep): Study {
  const n = contrasts.length;
  const own = contrasts.map(({ group }) => group);
  const groups = [...own, ...own];
  const labels = groups.map((_, row) => row < n);
  // Groups of one size keep their order, which for files sorted by subject would put a subject into one fold.
  const order = Random.fromSeed(settings.seed)
    .fork("folds")
    .shuffled([...groups.keys()]);
  const folds = groupFolds(named(groups, Int32Array.from(order)), settings.folds).map(({ train, test }) => ({
    train: train.map((row) => order[row] ?? -1).sort(),
    test: test.map((row) => order[row] ?? -1).sort(),
  }));
  return { n, labels, groups, folds, settings, pacer, keep };
}

function inputsOf(
  { contrasts, features, rawActivations, baseModel, logRatios, tokens }: ClassificationData,
  n: number,
  { words }: ClassificationSettings,
): { readonly features: ClassifierInput } & { readonly [K in BaselineName]?: ClassifierInput | undefined } {
  const answers = (["positive", "negative"] as const).flatMap((side) =>
    contrasts.map((contrast) => contrast[side].text.slice(contrast[side].start, contrast[side].end)),
  );
  const bag: ClassifierInput = (train) => {
    const found = bagOfWords(named(answers, train), { minTexts: 2, most: words });
    // Without a shared word there is one column of zeros: a bag that tells nothing.
    return (rows) => {
      const counts = found.counts(named(answers, rows));
      return counts.columns > 0 ? counts : rowMatrix(new Float32Array(rows.length), rows.length, 1);
    };
  };
  return {
    features: polar(features.rows, n),
    length: column(tokens, n),
    bagOfWords: bag,
    rawActivations: rawActivations && polar(rawActivations.rows, n),
    baseModel: baseModel && polar(baseModel.rows, n),
    logRatio: logRatios && column(finite(logRatios), n),
  };
}

function polar({ data, columns }: RowMatrix, n: number): ClassifierInput {
  return fixedInput(rowMatrix(data.subarray(0, 2 * n * columns), 2 * n, columns));
}

function column(values: ArrayLike<number>, n: number): ClassifierInput {
  return fixedInput(
    rowMatrix(
      Float64Array.from({ length: 2 * n }, (_, row) => values[row] ?? 0),
      2 * n,
      1,
    ),
  );
}

/** 0 where a log-ratio is undefined: no change. */
function finite(values: Float32Array): Float32Array {
  return values.map((value) => (Number.isNaN(value) ? 0 : value));
}

/** Scores of all rows [2n], each by a probe that saw none of the row's group. */
interface HeldOut {
  readonly scores: Float64Array;
  readonly strengths: readonly number[];
  readonly unconverged: number;
}

const foldSchema = z.strictObject({ scores: z.array(z.number()), strength: z.number(), converged: z.boolean() });

async function crossValidated(name: InputName, input: ClassifierInput, study: Study): Promise<HeldOut> {
  const { folds, labels, settings, pacer, keep } = study;
  const scores = new Float64Array(labels.length);
  const strengths: number[] = [];
  let unconverged = 0;
  for (const [index, { train, test }] of folds.entries()) {
    const fold = await keep(`${name}/${index}`, foldSchema, async () => {
      const strength = await chooseStrength(input, study, train, settings, pacer);
      const columns = input(train);
      const { model, converged } = classifierOf(columns(train))(named(labels, train), { ...settings, strength });
      return { scores: [...predictLinear(rounded(model), columns(test))], strength, converged };
    });
    for (const [at, row] of test.entries()) scores[row] = fold.scores[at] ?? Number.NaN;
    strengths.push(fold.strength);
    if (!fold.converged) unconverged += 1;
  }
  return { scores, strengths, unconverged };
}

const shuffledSchema = z.array(z.array(z.number()));

/**
 * Scores of probes fitted to labels that are exchanged within each contrast at random, at the strengths chosen for the
 * true labels; one [2n] a shuffle. Test rows are scored against their true labels.
 */
async function shuffledScores(
  input: ClassifierInput,
  strengths: readonly number[],
  { n, folds, labels, settings, pacer, keep }: Study,
): Promise<Float64Array[]> {
  const all = Array.from({ length: settings.labelShuffles }, () => new Float64Array(2 * n));
  for (const [index, { train, test }] of folds.entries()) {
    const own = await keep(`shuffled/${index}`, shuffledSchema, async () => {
      const columns = input(train);
      const classifier = classifierOf(columns(train));
      const tested = columns(test);
      const found: number[][] = [];
      for (const shuffle of all.keys()) {
        await pacer.pause();
        const random = Random.fromSeed(settings.seed).fork(`exchange ${shuffle}`);
        const exchanged = Array.from({ length: n }, () => random.uniform() < 0.5);
        const given = Array.from(train, (row) => (labels[row] ?? false) !== (exchanged[row % n] ?? false));
        const { model } = classifier(given, { ...settings, strength: strengths[index] ?? 1, tolerance: roughly });
        found.push([...predictLinear(model, tested)]);
      }
      return found;
    });
    for (const [shuffle, scores] of own.entries())
      for (const [at, row] of test.entries()) (all[shuffle] ?? scores)[row] = scores[at] ?? Number.NaN;
  }
  return all;
}

const probeSchema = z.strictObject({ weights: z.array(z.number()), intercept: z.number(), strength: z.number() });

async function fitOnAll(
  input: ClassifierInput,
  { layers }: SpanFeatures,
  study: Study,
): Promise<{ readonly probe: LinearProbe; readonly strength: number }> {
  const { labels, settings, pacer, keep } = study;
  const { weights, intercept, strength } = await keep("probe", probeSchema, async () => {
    const rows = Int32Array.from(labels.keys());
    const chosen = await chooseStrength(input, study, rows, settings, pacer);
    const { model } = classifierOf(input(rows)(rows))(labels, { ...settings, strength: chosen });
    const { weights: w, intercept: b } = rounded(model);
    return { weights: [...w], intercept: b, strength: chosen };
  });
  return {
    probe: { layers, weights: Float32Array.from(weights), intercept, deltaScale: null, outputScale: null },
    strength,
  };
}

interface Results {
  readonly data: ClassificationData;
  readonly study: Study;
  readonly found: Found;
  readonly shuffled: readonly Float64Array[];
  readonly strength: number;
  readonly probe: LinearProbe;
}

async function reportOf({ data, study, found, shuffled, strength, probe }: Results): Promise<ClassificationReport> {
  const { n, settings, pacer } = study;
  const groups = study.groups.slice(0, n);
  const options: ScoringOptions = { random: Random.fromSeed(settings.seed), resamples: settings.resamples, pacer };
  const own = found.features;
  const baselines: Partial<ClassificationReport["baselines"]> = {};
  const differences: Partial<ClassificationReport["differences"]> = {};
  for (const name of baselineNames) {
    const other = found[name];
    baselines[name] = other === undefined ? null : await answerScores(other.scores, groups, options);
    differences[name] = other === undefined ? null : await aurocDifference(own.scores, other.scores, groups, options);
  }
  const { layers, rows } = data.features;
  const polarData = rows.data.subarray(0, 2 * n * rows.columns);
  return {
    kind: "classification",
    settings,
    contrasts: n,
    groups: new Set(groups).size,
    features: {
      total: rows.columns,
      layers: [...layers],
      nonZero: countNonZero(polarData) / Math.max(1, polarData.length),
    },
    cut: data.cut ?? 0,
    tokens: { liked: meanOf(data.tokens.subarray(0, n)), disliked: meanOf(data.tokens.subarray(n, 2 * n)) },
    strengths: { folds: [...own.strengths], probe: strength },
    unconverged: [own, ...baselineNames.flatMap((name) => found[name] ?? [])].reduce(
      (sum, one) => sum + one.unconverged,
      0,
    ),
    probe: await answerScores(own.scores, groups, options),
    baselines: whole(baselines),
    differences: whole(differences),
    shuffledLabels: shuffledReport(shuffled, n),
    lengthMatched: await matchedReport({ data, found, groups, options, study }),
    neutral: neutralReport(data.features.rows, n, probe),
    typicalSize: percentile(own.scores.map(Math.abs), 95),
    asPublished:
      data.published === undefined ? null : publishedClassification(data.published, data.contrasts, settings),
  };
}

/** A record that the loop over all names has filled. */
function whole<T>(record: Partial<Record<BaselineName, T>>): Record<BaselineName, T> {
  invariant(
    baselineNames.every((name) => record[name] !== undefined),
    "a baseline is missing",
  );
  return record as Record<BaselineName, T>;
}

function shuffledReport(shuffled: readonly Float64Array[], n: number): ClassificationReport["shuffledLabels"] {
  const contrasts = Int32Array.from({ length: n }, (_, at) => at);
  const spread = (values: readonly number[]) =>
    values.length === 0
      ? { mean: null, low: null, high: null }
      : { mean: meanOf(values), low: Math.min(...values), high: Math.max(...values) };
  return {
    shuffles: shuffled.length,
    accuracy: spread(shuffled.map((scores) => accuracyOf(scores, contrasts))),
    auroc: spread(shuffled.map((scores) => aurocOf(scores, contrasts))),
  };
}

/** Scores on the contrasts in which neither answer is much longer than the other. */
async function matchedReport({
  data: { tokens },
  found,
  groups,
  options,
  study: { n, settings },
}: Pick<Results, "data" | "found" | "study"> & {
  readonly groups: readonly string[];
  readonly options: ScoringOptions;
}): Promise<ClassificationReport["lengthMatched"]> {
  const kept = Array.from({ length: n }, (_, at) => at).filter((at) => {
    const both = [tokens[at] ?? 0, tokens[n + at] ?? 0];
    return Math.max(...both) <= settings.lengthRatio * Math.min(...both);
  });
  const own = kept.map((at) => groups[at] ?? "");
  const scored = async (held: HeldOut | undefined): Promise<AnswerScores | null> => {
    if (held === undefined || kept.length === 0) return null;
    const scores = Float64Array.from([...kept, ...kept.map((at) => n + at)], (row) => held.scores[row] ?? 0);
    return await answerScores(scores, own, options);
  };
  return {
    contrasts: kept.length,
    groups: new Set(own).size,
    probe: await scored(found.features),
    length: await scored(found.length),
  };
}

function neutralReport(
  { data, rows, columns }: RowMatrix,
  n: number,
  { weights, intercept }: LinearProbe,
): ClassificationReport["neutral"] {
  if (rows === 2 * n) return null;
  const neutral = rowMatrix(data.subarray(2 * n * columns), rows - 2 * n, columns);
  const scores = predictLinear({ weights: Float64Array.from(weights), intercept }, neutral);
  return {
    answers: neutral.rows,
    liked: scores.filter((score) => score > 0).length / neutral.rows,
    logOdds: meanOf(scores),
  };
}

function meanOf(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}
