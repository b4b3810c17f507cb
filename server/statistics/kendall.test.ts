import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectClose, fixture, levels } from "../../test/unit/statistics/fixture.ts";
import { Random } from "../common/random.ts";
import { kendallTau, orderedTau, signOnlyTau, stringTau, TiedRanksError } from "./kendall.ts";
import { NotANumberError } from "./sample.ts";

const stored = fixture("ranks");

describe("kendallTau", () => {
  test.each(stored.kendall)("equals scipy: $name, $method", ({ x, y, method, tau, p }) => {
    const result = kendallTau(x, y, method);
    expectClose(result.tau, tau, 1e-14);
    expectClose(result.p, p, 1e-11);
    const flipped = kendallTau(y, x, method);
    expectClose(flipped.tau, tau, 1e-14);
    expectClose(flipped.p, p, 1e-11);
  });

  test.each(stored.generatedKendall)(
    "equals scipy on $n rows in steps of $step",
    ({ n, step, share, seeds, tau, p }) => {
      const x = levels(seeds[0], n, step);
      const y = levels(seeds[1], n, step).map((value, i) => value + share * (x[i] ?? Number.NaN));
      const result = kendallTau(x, y);
      expectClose(result.tau, tau, 1e-13);
      expectClose(result.p, p, 1e-10);
    },
  );

  test("the two published tables give the values of the paper's analysis", () => {
    const table = (name: string) => stored.kendall.find((entry) => entry.name === name && entry.method === "auto");
    const { x: x9 = [], y: y9 = [] } = table("table 9") ?? {};
    expectClose(kendallTau(x9, y9).tau, 0.5195820930350764, 1e-14);
    expectClose(kendallTau(x9, y9).p, 8.57931282468651e-5, 1e-12);
    const { x: x2 = [], y: y2 = [] } = table("table 2") ?? {};
    expectClose(kendallTau(x2, y2).tau, 0.5850098009746978, 1e-12);
    expectClose(kendallTau(x2, y2).p, 0.014576698401185684, 1e-12);
  });

  test("chooses the p-value as scipy does and says which", () => {
    const up = Array.from({ length: 34 }, (_, i) => i);
    expect(kendallTau(up.slice(1), up.slice(1)).method).toBe("exact");
    expect(kendallTau(up, up).method).toBe("exact");
    expect(kendallTau(up, [...up.slice(3), 0, 1, 2]).method).toBe("asymptotic");
    expect(kendallTau([1, 1, 2], [1, 2, 3]).method).toBe("asymptotic");
  });

  test("equals the plain count over all pairs", () => {
    const value = fc.integer({ min: -3, max: 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { maxLength: 40 }), (rows) => {
        const { tau } = kendallTau(
          rows.map(([x]) => x),
          rows.map(([, y]) => y),
        );
        let [balance, untiedX, untiedY] = [0, 0, 0];
        for (const [i, [x, y]] of rows.entries())
          for (const [otherX, otherY] of rows.slice(0, i)) {
            balance += Math.sign(x - otherX) * Math.sign(y - otherY);
            untiedX += x === otherX ? 0 : 1;
            untiedY += y === otherY ? 0 : 1;
          }
        const expected = balance / Math.sqrt(untiedX * untiedY);
        expectClose(tau, Number.isNaN(expected) ? null : expected, 1e-12);
      }),
    );
  });

  test("orders infinities, refuses NaN, unequal lengths and an exact p with ties", () => {
    expect(kendallTau([Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY], [1, 2, 3]).tau).toBe(1);
    expect(() => kendallTau([1, Number.NaN], [1, 2])).toThrow(NotANumberError);
    expect(() => kendallTau([1, Number.NaN], [1, 2])).toThrow(/x\[1\] is NaN/);
    expect(() => kendallTau([1, 2, 3], [1, 2])).toThrow(/3 values and y 2/);
    expect(() => kendallTau([1, 1, 2], [1, 2, 3], "exact")).toThrow(TiedRanksError);
  });

  test("two rows have an asymptotic p, where scipy divides by zero", () => {
    expectClose(kendallTau([1, 2], [1, 2], "asymptotic").p, 0.31731050786291404, 1e-13);
  });
});

test("tau over orders is the tau of each order, with and without ties, bit for bit", () => {
  const random = Random.fromSeed(9);
  for (const [levelsX, levelsY] of [
    [1e9, 1e9],
    [6, 1e9],
    [1e9, 5],
    [4, 3],
    [1, 3],
  ] as const) {
    const x = Array.from({ length: 60 }, () => random.integer(levelsX));
    const y = Array.from({ length: 60 }, () => random.integer(levelsY) - 2);
    const tauOf = orderedTau(x, y);
    for (let draw = 0; draw < 20; draw++) {
      const order = Int32Array.from(random.shuffled(x.map((_, row) => row)));
      const picked = Array.from(order, (row) => y[row] ?? Number.NaN);
      expect(tauOf(order)).toBe(kendallTau(x, picked, "asymptotic").tau);
    }
  }
  expect(orderedTau([1], [2])(Int32Array.of(0))).toBeNaN();
});

describe("stringTau", () => {
  test.each(stored.stringTau)("equals the published computation: $name", ({ words, truth, predicted, tau, p }) => {
    const result = stringTau(words, truth, predicted);
    expectClose(result.tau, tau, 1e-13);
    expectClose(result.p, p, 1e-10);
  });

  test("is destroyed by small noise that numeric tau hardly sees", () => {
    const random = Random.fromSeed(5);
    const truth = Array.from({ length: 128 }, (_, i) => i / 50);
    const words = random.shuffled(truth.map((_, i) => `word${i}`));
    const noisy = truth.map((value) => value + 0.05 * random.normal());
    expect(kendallTau(truth, noisy).tau).toBeGreaterThan(0.9);
    expect(Math.abs(stringTau(words, truth, noisy).tau)).toBeLessThan(0.3);
    expect(stringTau(words, truth, truth).tau).toBe(1);
  });

  test("refuses words without values", () => {
    expect(() => stringTau(["a"], [1, 2], [1, 2])).toThrow(/1 words and 2 values/);
  });
});

describe("signOnlyTau", () => {
  const random = Random.fromSeed(6);
  const truth = Array.from({ length: 60 }, () => Math.round(random.normal() * 20) / 10);
  const predicted = truth.map((value) => Math.round((value + random.normal()) * 10) / 10);

  test("is tau of the signs", () => {
    const { shuffledTau: _, ...fromSigns } = signOnlyTau(predicted, truth);
    expect(fromSigns).toEqual(kendallTau(predicted.map(Math.sign), truth));
  });

  test("its shuffled tau is the mean tau of predictions shuffled within their signs", () => {
    const { shuffledTau } = signOnlyTau(predicted, truth);
    const bySign = [-1, 0, 1].map((sign) => predicted.filter((value) => Math.sign(value) === sign));
    let total = 0;
    for (let i = 0; i < 4000; i++) {
      const pools = bySign.map((pool) => random.shuffled(pool));
      total += kendallTau(
        predicted.map((value) => pools[Math.sign(value) + 1]?.pop() ?? Number.NaN),
        truth,
      ).tau;
    }
    expect(Math.abs(total / 4000 - shuffledTau)).toBeLessThan(0.005);
    expect(shuffledTau).toBeLessThan(kendallTau(predicted, truth).tau - 0.05);
  });

  test("is undefined when every prediction has one sign, and then the shuffled tau is zero", () => {
    const { tau, p, shuffledTau } = signOnlyTau([1, 2, 3], [1, 3, 2]);
    expect([tau, p]).toEqual([Number.NaN, Number.NaN]);
    expect(shuffledTau).toBe(0);
  });
});
