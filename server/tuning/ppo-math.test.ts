import { describe, expect, it } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { readPpoFixture } from "../../test/support/ppo-fixture.ts";
import {
  adaptKlCoefficient,
  completionKl,
  estimateAdvantages,
  explainedVariance,
  maskedMoments,
  tokenRewards,
  whiten,
} from "./ppo-math.ts";

const { signals, controllers } = readPpoFixture();
const close = { absolute: 1e-6, relative: 0 };

describe.each(signals)("TRL's formulas: $name", (expected) => {
  const { rows, gamma, lambda, klCoefficient, whitenRewards, mask, logProbs, referenceLogProbs, scores, values } =
    expected;
  const rewards = tokenRewards({ logProbs, referenceLogProbs, mask, scores, klCoefficient });
  const learned = whitenRewards ? whiten({ values: rewards, mask }, { keepMean: true }) : rewards;
  const estimated = estimateAdvantages({ rewards: learned, values, mask, rows, gamma, lambda });
  const inside = (all: ArrayLike<number>): number[] => mask.map((one, at) => one * (all[at] ?? Number.NaN));

  it("per-token rewards carry the KL penalty, and the score at the last token", () => {
    expectClose("rewards", rewards, expected.tokenRewards, close);
    expectClose("KL", completionKl({ logProbs, referenceLogProbs, mask }, rows), expected.kls, close);
  });

  it("advantages, returns and whitening", () => {
    expectClose("advantages", inside(estimated.advantages), expected.advantages, close);
    expectClose("returns", inside(estimated.returns), expected.returns, close);
    expectClose("whitened", whiten({ values: estimated.advantages, mask }), expected.whitened, close);
  });

  it("explained variance", () => {
    const got = explainedVariance(values, estimated.returns, mask);
    if (expected.explainedVariance === null) expect(got).toBeUndefined();
    else expect(got).toBeCloseTo(expected.explainedVariance, 6);
  });
});

it.each(controllers)("the KL controller at a KL of $kl", ({ coefficient, kl, next, ...settings }) => {
  expect(adaptKlCoefficient(coefficient, kl, settings)).toBeCloseTo(next, 12);
});

it("what stands outside the mask changes nothing", () => {
  const mask = [1, 1, 0, 1, 0, 0];
  const padded = (junk: number) => ({ values: mask.map((one, at) => (one === 1 ? at : junk)), mask });
  expect(whiten(padded(0))).toEqual(whiten(padded(1e6)));
  expect(maskedMoments(padded(0))).toEqual(maskedMoments(padded(-1e6)));
  const inputs = { rows: 2, gamma: 1, lambda: 0.95, mask, rewards: [1, 2, 9, 3, 9, 9] };
  const { returns } = estimateAdvantages({ ...inputs, values: padded(7).values });
  expect(returns[1]).toBeCloseTo(2, 12);
  expect(returns[3]).toBeCloseTo(3, 12);
});

it("a single value has no spread", () => {
  expect(maskedMoments({ values: [5, 1], mask: [0, 1] })).toEqual({ count: 1, mean: 1, variance: 0 });
});
