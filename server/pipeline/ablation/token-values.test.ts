import { expect, it } from "vitest";
import { plainReward } from "../../rewards/reward.ts";
import { vaderRatings, vaderReward } from "../../rewards/vader.ts";
import { tokenValues } from "./token-values.ts";

const head = { lexicon: "head" } as const;
const texts = ["<end>", " good", "good", " Good", " goodish", " :)", " bad", "  bad", "\n", " not bad"];
const tokenizer = { vocabSize: texts.length, specialIds: new Set([0]), tokenText: (id: number) => texts[id] ?? "" };

it("is the reward of whole words after a space, and 0 for pieces, structure and padding", async () => {
  const values = await tokenValues(
    tokenizer,
    { reward: vaderReward(head, "completion"), ratings: vaderRatings(head) },
    12,
  );
  // VADER rates good 1.9, :) 2.0 and bad -2.5; the reward is a fifth of that.
  const expected = [0, 0.38, 0, 0.38, 0, 0.4, -0.5, 0, 0, 0, 0, 0];
  expect(values).toHaveLength(12);
  for (const [id, value] of expected.entries()) expect(values?.[id], texts[id]).toBeCloseTo(value, 6);
});

it("is what the reward says of each rated word, whose rating only tells that it is one", async () => {
  const reward = plainReward("length", "completion", (text) => text.length);
  const values = await tokenValues(tokenizer, { reward, ratings: vaderRatings(head) }, 12);
  expect(values && [...values]).toEqual([0, 4, 0, 4, 0, 2, 3, 0, 0, 0, 0, 0]);
});

it("is undefined where no token is a rated word, and stops when it is asked to", async () => {
  const reward = vaderReward(head, "completion");
  const none = { ...vaderRatings(head), rated: () => [] };
  expect(await tokenValues(tokenizer, { reward, ratings: none }, 12)).toBeUndefined();
  const stopped = tokenValues(tokenizer, { reward, ratings: none }, 12, AbortSignal.abort(new Error("enough")));
  await expect(stopped).rejects.toThrow("enough");
});
