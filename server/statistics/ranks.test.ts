import { describe, expect, test } from "vitest";
import { expectAllClose, expectClose, fixture } from "../../test/unit/statistics/fixture.ts";
import { auroc, ranks, samePolarityRanking, spearmanRho } from "./ranks.ts";
import { NotANumberError } from "./sample.ts";

const stored = fixture("ranks");

describe("ranks", () => {
  test.each(stored.ranks)("equals scipy for $values", ({ values, ranks: expected }) => {
    expectAllClose(ranks(values), expected, 0);
  });

  test("refuses NaN", () => {
    expect(() => ranks([0, Number.NaN])).toThrow(NotANumberError);
  });
});

describe("spearmanRho", () => {
  test.each(stored.spearman)("equals scipy: $name", ({ x, y, rho, p }) => {
    const result = spearmanRho(x, y);
    expectClose(result.rho, rho, 1e-13);
    expectClose(result.p, p, 1e-9);
  });

  test("is undefined for no rows", () => {
    expect(spearmanRho([], [])).toEqual({ rho: Number.NaN, p: Number.NaN, n: 0 });
  });
});

describe("auroc", () => {
  test.each(stored.auroc)("equals scikit-learn on $labels.length rows", ({ scores, labels, auroc: expected }) => {
    expectClose(auroc(scores, labels), expected, 1e-13);
    expectClose(
      auroc(
        scores,
        labels.map((label) => label === 1),
      ),
      expected,
      1e-13,
    );
  });

  test("is undefined with one class, and refuses unpaired labels", () => {
    expect(auroc([1, 2], [1, 1])).toBeNaN();
    expect(auroc([1, 2], [false, false])).toBeNaN();
    expect(() => auroc([1, 2], [1])).toThrow(/pair up/);
  });
});

describe("samePolarityRanking", () => {
  test("counts the pairs of one sign, ties in the prediction half, ties in the truth not at all", () => {
    const truth = [3, 2, 2, 1, -1, -2, 0];
    const predicted = [9, 5, 1, 5, 0, 4, 100];
    expect(samePolarityRanking(predicted, truth)).toEqual({
      positive: { pairs: 5, right: 3.5, accuracy: 0.7 },
      negative: { pairs: 1, right: 0, accuracy: 0 },
    });
  });

  test("gains nothing from the sign and is undefined without pairs", () => {
    const { positive, negative } = samePolarityRanking([1, 1, 1, -1], [1, 2, 3, -1]);
    expect(positive.accuracy).toBe(0.5);
    expect(negative).toEqual({ pairs: 0, right: 0, accuracy: Number.NaN });
  });
});
