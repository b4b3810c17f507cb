import { describe, expect, it } from "vitest";
import { readDpoFixture } from "../../test/support/dpo-fixture.ts";
import { trlTokens } from "./pair-tokens-config.ts";
import { marginOf, preferenceLoss, type ScoredPair } from "./preference-loss.ts";

const { losses } = readDpoFixture();

describe("the loss of one pair in plain numbers", () => {
  it.each(losses)("equals torch's, pair by pair: $name", (given) => {
    const { name, beta, labelSmoothing, expected } = given;
    const loss = name === "hinge" || name === "ipo" ? { kind: name } : { kind: "sigmoid" as const, labelSmoothing };
    const pairs = given.chosen.map((chosen, at): ScoredPair => {
      const of = (values: readonly number[] | undefined): number => values?.[at] ?? Number.NaN;
      return {
        policy: { chosen, rejected: of(given.rejected) },
        reference: { chosen: of(given.referenceChosen), rejected: of(given.referenceRejected) },
        lengths: { chosen: of(given.lengths[0]), rejected: of(given.lengths[1]) },
      };
    });
    expect(expected.losses.length).toBe(pairs.length);
    for (const [at, pair] of pairs.entries())
      expect(preferenceLoss(pair, { beta, loss, tokens: trlTokens })).toBeCloseTo(expected.losses[at] ?? Number.NaN, 5);
  });

  it("is log 2 where nothing was learned, and the margin 0", () => {
    const same = { chosen: -20, rejected: -3 };
    const pair = { policy: same, reference: same, lengths: { chosen: 4, rejected: 1 } };
    const settings = { beta: 0.1, loss: { kind: "sigmoid" as const, labelSmoothing: 0 }, tokens: trlTokens };
    expect(preferenceLoss(pair, settings)).toBeCloseTo(Math.LN2, 12);
    expect(marginOf(pair)).toBe(0);
  });

  it("stays finite for margins of thousands of nats", () => {
    const pair = (chosen: number): ScoredPair => ({
      policy: { chosen, rejected: 0 },
      reference: { chosen: 0, rejected: 0 },
      lengths: { chosen: 1, rejected: 1 },
    });
    const settings = { beta: 1, loss: { kind: "sigmoid" as const, labelSmoothing: 0 }, tokens: trlTokens };
    expect(preferenceLoss(pair(-5000), settings)).toBe(5000);
    expect(preferenceLoss(pair(5000), settings)).toBe(0);
  });
});
