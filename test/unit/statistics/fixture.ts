import { readFileSync } from "node:fs";
import { expect } from "vitest";

/** Oracle values from numpy, scipy and scikit-learn (test/fixtures/statistics/make_statistics.py). A null is a NaN. */
export type Stored = number | null;

export interface PairCase {
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly p: Stored;
}

export interface RankFixture {
  readonly kendall: readonly (PairCase & { method: "auto" | "exact" | "asymptotic"; tau: Stored })[];
  readonly generatedKendall: readonly {
    n: number;
    step: number;
    share: number;
    seeds: readonly [number, number];
    tau: number;
    p: number;
  }[];
  readonly stringTau: readonly {
    name: string;
    words: readonly string[];
    truth: readonly number[];
    predicted: readonly number[];
    tau: number;
    p: number;
  }[];
  readonly spearman: readonly (PairCase & { rho: Stored })[];
  readonly ranks: readonly { values: readonly number[]; ranks: readonly number[] }[];
  readonly auroc: readonly { scores: readonly number[]; labels: readonly number[]; auroc: number }[];
}

export interface SampleFixture {
  readonly percentiles: readonly { values: readonly number[]; asked: readonly number[]; expected: readonly number[] }[];
  readonly moments: readonly {
    values: readonly number[];
    sum: number;
    mean: number;
    variance: Stored;
    populationVariance: Stored;
  }[];
  readonly wilson: readonly { successes: number; trials: number; confidence: number; low: number; high: number }[];
  readonly special: {
    readonly complementaryError: readonly (readonly [number, number])[];
    readonly normalQuantile: readonly (readonly [number, number])[];
    readonly regularisedBeta: readonly (readonly [number, number, number, number])[];
    readonly studentTwoSided: readonly (readonly [number, number, number])[];
  };
}

interface Generated {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly seed: number;
}

export interface LinearFixture {
  readonly ridge: readonly (Generated & {
    alpha: number;
    step: number;
    offset: Stored;
    weights: readonly number[];
    intercept: number;
    predicted: readonly number[];
  })[];
  readonly logistic: readonly (Generated & {
    inverseStrength: number;
    scale: number;
    labels: readonly number[];
    weights: readonly number[];
    intercept: number;
    objective: number;
    accuracy: number;
    defaultWeights: readonly number[];
  })[];
  readonly pca: readonly (Generated & {
    count: number;
    components: readonly (readonly number[])[];
    variance: readonly number[];
    share: readonly number[];
    mean: readonly number[];
    scores: readonly number[];
  })[];
}

export interface AssignmentFixture {
  readonly assignment: readonly {
    name: string;
    rows: number;
    columns: number;
    cost: readonly number[];
    minimum: number;
    maximum: number;
  }[];
  readonly generatedAssignment: readonly {
    rows: number;
    columns: number;
    step: number;
    seed: number;
    minimum: number;
  }[];
  readonly similarity: readonly {
    small: number;
    big: number;
    d: number;
    seed: number;
    mean: number;
    matches: readonly (readonly [number, number, number])[];
  }[];
}

export interface AgreementFixture {
  readonly agreement: readonly {
    name: string;
    n: number;
    share: number;
    offset: number;
    seeds: readonly [number, number];
    pearson: number;
    r2: number;
  }[];
}

interface Fixtures {
  readonly agreement: AgreementFixture;
  readonly ranks: RankFixture;
  readonly samples: SampleFixture;
  readonly linear: LinearFixture;
  readonly assignment: AssignmentFixture;
}

export function fixture<K extends keyof Fixtures>(name: K): Fixtures[K] {
  return JSON.parse(readFileSync(new URL(`../../fixtures/statistics/${name}.json`, import.meta.url), "utf8"));
}

/** The generator that the Python script draws large inputs from: numbers in [0, 1). */
export function uniforms(seed: number, count: number): Float64Array {
  let state = seed;
  return new Float64Array(count).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}

/** Numbers in [-2, 2) on a grid of `step`, a power of two. */
export function levels(seed: number, count: number, step: number): Float64Array {
  return uniforms(seed, count).map((u) => Math.floor((u * 4) / step) * step - 2);
}

/** Expects two numbers to agree to `relative` of the stored one (or of `floor`, when that is larger); NaN for null. */
export function expectClose(actual: number, stored: Stored | undefined, relative = 1e-9, floor = 0): void {
  if (stored === undefined) throw new Error("nothing is stored to compare with");
  const expected = stored ?? Number.NaN;
  if (Number.isNaN(expected) || Number.isNaN(actual)) expect(actual).toBe(expected);
  else
    expect(Math.abs(actual - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(
      relative * Math.max(Math.abs(expected), floor),
    );
}

/** The same for every element, relative to the largest of them. */
export function expectAllClose(actual: ArrayLike<number>, stored: readonly Stored[], relative = 1e-9): void {
  expect(actual.length).toBe(stored.length);
  const largest = stored.reduce<number>((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);
  const far = stored.findIndex((value, i) => {
    const [got, expected] = [actual[i] ?? Number.NaN, value ?? Number.NaN];
    return Number.isNaN(got) !== Number.isNaN(expected) || Math.abs(got - expected) > relative * largest;
  });
  expect(far, `element ${far}: ${actual[far]} against ${stored[far]}`).toBe(-1);
}
