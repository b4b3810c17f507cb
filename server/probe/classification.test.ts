import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { expectAllClose, expectClose, levels } from "../../test/unit/statistics/fixture.ts";
import { Random } from "../common/random.ts";
import { groupFolds, TooFewGroupsError } from "../statistics/group-folds.ts";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { standardised, standardiserOf, unstandardised } from "../statistics/standardise.ts";
import type { Contrast } from "../tasks/contrast.ts";
import { publishedScores } from "./as-published.ts";
import { bagOfWords } from "./bag-of-words.ts";
import { type ClassificationData, classificationParts, evaluateClassification } from "./classification.ts";
import {
  type AnswerScores,
  type ClassificationSettings,
  classificationReportSchema,
  defaultClassificationSettings,
} from "./classification-types.ts";
import type { SpanFeatures } from "./features.ts";
import type { PartStore } from "./saved-parts.ts";

interface StoredScores {
  readonly scores: readonly number[];
  readonly strengths: readonly number[];
  readonly accuracy: number;
  readonly auroc: number;
  readonly pairAccuracy: number;
}

/** Values of scikit-learn: test/fixtures/probe/make_classification.py. */
const stored: {
  readonly columns: number;
  readonly seed: number;
  readonly strengths: number[];
  readonly groups: readonly string[];
  readonly answers: readonly string[];
  readonly folds: readonly (readonly number[])[];
  readonly scaler: { readonly means: readonly number[]; readonly scales: readonly number[] };
  readonly bag: { readonly words: readonly string[]; readonly counts: readonly (readonly number[])[] };
  readonly features: StoredScores;
  readonly bagOfWords: StoredScores;
  readonly asPublished: { train: readonly number[]; test: readonly number[]; accuracy: number; auroc: number };
} = JSON.parse(readFileSync(new URL("../../test/fixtures/probe/classification.json", import.meta.url), "utf8"));

const n = stored.groups.length;

function storedFeatures(): SpanFeatures {
  const { columns, seed } = stored;
  const data = Float32Array.from(levels(seed, 2 * n * columns, 1 / 64), (value, at) => {
    const label = at < n * columns ? 1 : 0;
    const changed = [value + 0.75 * label, value - 0.5 * label, 64 * value, 0.1, 3 + value / 64];
    return changed[at % columns] ?? value;
  });
  return { layers: [{ layer: 2, start: 0, end: columns }], rows: rowMatrix(data, 2 * n, columns) };
}

function contrastsOf(answers: readonly string[], groups: readonly string[]): Contrast[] {
  const span = (answer = "") => ({ text: `Q: ${answer}`, start: 3, end: 3 + answer.length });
  return groups.map((group, at) => ({
    id: `${at}`,
    source: "made up",
    group,
    positive: span(answers[at]),
    negative: span(answers[groups.length + at]),
  }));
}

const settings: ClassificationSettings = {
  ...defaultClassificationSettings,
  strengths: stored.strengths,
  resamples: 50,
  labelShuffles: 3,
};

const data: ClassificationData = {
  contrasts: contrastsOf(stored.answers, stored.groups),
  features: storedFeatures(),
  tokens: Int32Array.from({ length: 2 * n }, (_, row) => 3 + (row % 4)),
};

function expectStored(found: AnswerScores | null | undefined, expected: StoredScores): void {
  expectClose(found?.accuracy.value ?? Number.NaN, expected.accuracy);
  expectClose(found?.auroc.value ?? Number.NaN, expected.auroc, 1e-6);
  expectClose(found?.pairAccuracy.value ?? Number.NaN, expected.pairAccuracy);
}

/** A store in memory that counts what it computes. */
function storeOf(saved: Record<string, unknown>): PartStore & { readonly added: string[] } {
  const added: string[] = [];
  return {
    added,
    find: (part) => saved[part],
    save: async (part, result) => {
      saved[part] = JSON.parse(JSON.stringify(result));
      added.push(part);
    },
  };
}

describe("equal to scikit-learn's", () => {
  it("folds by group", () => {
    const folds = groupFolds([...stored.groups, ...stored.groups], 5);
    expect(folds.map(({ test }) => [...test])).toEqual(stored.folds);
  });

  it("means and scales, of a constant column too", () => {
    const { rows } = storedFeatures();
    const { means, scales } = standardiserOf(rows);
    expectAllClose(means, stored.scaler.means, 1e-12);
    for (const [at, scale] of scales.entries()) expectClose(scale, stored.scaler.scales[at], 1e-9);
  });

  it("words and counts of a bag of words", () => {
    const bag = bagOfWords(stored.answers, { minTexts: 2, most: 100 });
    expect(bag.words).toEqual(stored.bag.words);
    expect([...bag.counts(stored.answers).data]).toEqual(stored.bag.counts.flat());
  });

  it("held-out decision values to 1e-6, with the strengths that inner folds choose, of features and of words", async () => {
    const parts: Record<string, unknown> = {};
    const { report } = await evaluateClassification(data, settings, storeOf(parts));
    expect(report.strengths.folds).toEqual(stored.features.strengths);
    expect(report.unconverged).toBe(0);
    for (const [name, expected] of [
      ["features", stored.features],
      ["bagOfWords", stored.bagOfWords],
    ] as const) {
      for (const [fold, rows] of stored.folds.entries()) {
        const own = parts[`${name}/${fold}`] as { scores: number[]; strength: number };
        expect(own.strength).toBe(expected.strengths[fold]);
        const scores = rows.map((row) => expected.scores[row] ?? Number.NaN);
        // Ours are rounded to float32, as the probe is saved.
        expectAllClose(own.scores, scores, 1e-6);
      }
    }
    expectStored(report.probe, stored.features);
    expectStored(report.baselines.bagOfWords, stored.bagOfWords);
  });

  it("the published code's accuracy and AUROC on a given split", () => {
    const labelled = (rows: readonly number[]) => rows.map((row) => row < n);
    const { rows } = storedFeatures();
    const tight = publishedScores(rows, labelled, stored.asPublished, { tolerance: 1e-10, maxIterations: 5000 });
    expectClose(tight.accuracy ?? Number.NaN, stored.asPublished.accuracy);
    expectClose(tight.auroc ?? Number.NaN, stored.asPublished.auroc, 1e-6);
    const { auroc } = publishedScores(rows, labelled, stored.asPublished);
    expect(Math.abs((auroc ?? 0) - stored.asPublished.auroc)).toBeLessThan(0.01);
  });
});

describe("groups", () => {
  it("no prompt is on both sides of a fold, inner or outer, and every row is tested once", () => {
    const random = Random.fromSeed(3);
    const groups = Array.from({ length: 200 }, () => `prompt ${random.integer(60)}`);
    const folds = groupFolds(groups, 5);
    for (const { train, test } of folds) {
      const trained = new Set(Array.from(train, (row) => groups[row]));
      expect(Array.from(test).some((row) => trained.has(groups[row]))).toBe(false);
      expect(train.length + test.length).toBe(200);
      expect(Math.abs(test.length - 40)).toBeLessThan(10);
    }
    expect(folds.flatMap(({ test }) => [...test]).sort((a, b) => a - b)).toEqual([...groups.keys()]);
  });

  it("a feature that only names the prompt's class is worth nothing: chance, where a split by row would say 100 %", async () => {
    // Each prompt has three pairs, and one column of its own that is 1 for liked and -1 for disliked answers.
    const prompts = 20;
    const groups = Array.from({ length: 3 * prompts }, (_, at) => `prompt ${at % prompts}`);
    const rows = new Float32Array(2 * groups.length * prompts);
    for (let row = 0; row < 2 * groups.length; row++)
      rows[row * prompts + (row % prompts)] = (row < groups.length ? 1 : -1) * (row % prompts < prompts / 2 ? 1 : -1);
    const answers = Array.from({ length: 2 * groups.length }, (_, row) => `answer ${row}`);
    const features = { layers: [], rows: rowMatrix(rows, 2 * groups.length, prompts) };
    const tokens = new Int32Array(2 * groups.length).fill(4);
    const { report } = await evaluateClassification(
      { contrasts: contrastsOf(answers, groups), features, tokens },
      settings,
    );
    expect(report.probe.auroc.value).toBeCloseTo(0.5, 6);
    const labelled = (some: readonly number[]) => some.map((row) => row < groups.length);
    const all = [...answers.keys()];
    const split = { train: all.filter((row) => row % 7 > 0), test: all.filter((row) => row % 7 === 0) };
    expect(publishedScores(features.rows, labelled, split).accuracy).toBe(1);
  });

  it("too few prompts are refused with what to do", async () => {
    const few = { ...data, contrasts: data.contrasts.map((one) => ({ ...one, group: "one" })) };
    await expect(evaluateClassification(few, settings)).rejects.toThrow(TooFewGroupsError);
    await expect(evaluateClassification(few, settings)).rejects.toThrow(
      /1 groups cannot be dealt into 5 folds; give more groups .*contrasts.pairs/,
    );
  });
});

describe("a report", () => {
  /** Liked answers are longer, and nothing else tells them. */
  function byLength(): ClassificationData {
    const tokens = Int32Array.from({ length: 2 * n }, (_, row) =>
      row < n ? (row % 3 === 0 ? 20 : 40 + (row % 7)) : 20,
    );
    const rows = new Float32Array(3 * n);
    for (const [row, length] of tokens.entries()) rows[row] = length;
    rows.fill(35, 2 * n);
    const contrasts = contrastsOf(stored.answers, stored.groups).map((one) => ({
      ...one,
      neutral: { text: "Q: so", start: 3, end: 5 },
    }));
    return {
      contrasts,
      features: { layers: [{ layer: 0, start: 0, end: 1 }], rows: rowMatrix(rows, 3 * n, 1) },
      logRatios: Float32Array.from({ length: 3 * n }, (_, row) => (row === 0 ? Number.NaN : row < n ? 2 : -1)),
      tokens,
    };
  }

  it("shows that length alone does as well, and that it tells nothing where lengths match", async () => {
    const { report, probe } = await evaluateClassification(byLength(), settings);
    expect(classificationReportSchema.parse(report)).toEqual(report);
    expect(report.baselines.length).toEqual(report.probe);
    expect(report.differences.length).toMatchObject({ value: 0, low: 0, high: 0 });
    expect(report.probe.auroc.value).toBeGreaterThan(0.8);
    expect(report.lengthMatched.contrasts).toBe(Math.ceil(n / 3));
    expect(report.lengthMatched.probe?.pairAccuracy).toMatchObject({ value: 0.5 });
    expect(report.baselines.logRatio?.pairAccuracy.value).toBe(1);
    expect(report.baselines.rawActivations).toBeNull();
    expect(report.neutral).toMatchObject({ answers: n, liked: 1 });
    const model = { weights: Float64Array.from(probe.weights), intercept: probe.intercept };
    expect(report.neutral?.logOdds).toBeCloseTo(predictLinear(model, rowMatrix(Float32Array.of(35), 1, 1))[0] ?? 0, 9);
    expect(report.shuffledLabels.shuffles).toBe(3);
    expect(report.shuffledLabels.auroc.mean).toBeLessThan(report.probe.auroc.value ?? 0);
  });

  it("intervals draw whole prompts: with one prompt's pairs repeated they grow, not shrink", async () => {
    const repeated = 4;
    const times = <T>(values: readonly T[], length: number) =>
      [values.slice(0, length), values.slice(length)].flatMap((side) =>
        Array.from({ length: repeated * length }, (_, at) => side[at % length] as T),
      );
    const { columns } = stored;
    const rows = Array.from({ length: 2 * n }, (_, row) => [
      ...data.features.rows.data.subarray(row * columns, (row + 1) * columns),
    ]);
    const many: ClassificationData = {
      contrasts: times([...data.contrasts, ...data.contrasts], n).slice(0, repeated * n),
      features: {
        layers: data.features.layers,
        rows: rowMatrix(Float32Array.from(times(rows, n).flat()), 2 * repeated * n, columns),
      },
      tokens: Int32Array.from(times([...data.tokens], n)),
    };
    const width = async (of: ClassificationData) => {
      const { report } = await evaluateClassification(of, { ...settings, strengths: [0.1], resamples: 400 });
      return (report.probe.accuracy.high ?? 0) - (report.probe.accuracy.low ?? 0);
    };
    const [once, fourTimes] = [await width(data), await width(many)];
    expect(fourTimes).toBeGreaterThan(0.8 * once);
  });

  it("is the same after a stop at any part, and computes no part twice", async () => {
    const whole = await evaluateClassification(data, settings);
    const names = classificationParts(data, settings);
    const saved: Record<string, unknown> = {};
    await evaluateClassification(data, settings, storeOf(saved));
    expect(Object.keys(saved)).toEqual(names);
    const half = Object.fromEntries(Object.entries(saved).slice(0, 7));
    const rest = storeOf(half);
    expect(await evaluateClassification(data, settings, rest)).toEqual(whole);
    expect(rest.added).toEqual(names.slice(7));
  });
});

it("a standardised fit is the same function of the columns as they are", () => {
  const { rows } = storedFeatures();
  const standardiser = standardiserOf(rows);
  const model = { weights: Float64Array.from({ length: stored.columns }, (_, at) => at - 4), intercept: 0.5 };
  const scaled = predictLinear(model, standardised(standardiser, rows));
  const plain = predictLinear(unstandardised(standardiser, model), rows);
  expectAllClose(plain, [...scaled], 1e-10);
});
