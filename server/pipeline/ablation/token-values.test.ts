import { expect, it } from "vitest";
import type { RewardFunction } from "../../rewards/reward.ts";
import { vaderRewardFunction } from "../../rewards/vader.ts";
import { tokenValues } from "./token-values.ts";

const texts = ["<end>", " good", "good", " Good", " goodish", " :)", " bad", "  bad", "\n", " not bad"];
const tokenizer = { vocabSize: texts.length, specialIds: new Set([0]), tokenText: (id: number) => texts[id] ?? "" };

it("is the reward of whole words after a space, and 0 for pieces, structure and padding", () => {
  const values = tokenValues(tokenizer, vaderRewardFunction({ lexicon: "head" }), 12);
  // VADER rates good 1.9, :) 2.0 and bad -2.5; the reward is a fifth of that.
  const expected = [0, 0.38, 0, 0.38, 0, 0.4, -0.5, 0, 0, 0, 0, 0];
  expect(values).toHaveLength(12);
  for (const [id, value] of expected.entries()) expect(values?.[id], texts[id]).toBeCloseTo(value, 6);
});

it("is undefined for a reward that judges only whole texts", () => {
  const whole: RewardFunction = { name: "length", score: (text) => ({ reward: text.length, tokens: [] }) };
  expect(tokenValues(tokenizer, whole, 12)).toBeUndefined();
});
