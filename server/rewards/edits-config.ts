/** Words whose ratings are changed for tuning alone: `reward.edits`. */
import { z } from "zod";
import { isRewardWord, needsRating, type RewardEdit } from "./edits.ts";
import type { WordRatings } from "./word-ratings.ts";

const word = z
  .string()
  .refine(isRewardWord, { error: "must be one word in lower case, as the reward's tokenizer cuts it" })
  .describe("The word, in lower case.");

const editSchema: z.ZodType<RewardEdit> = z.union([
  z.strictObject({ word, rating: z.number().describe("Its rating, instead of the lexicon's.") }).readonly(),
  z.strictObject({ word, factor: z.number().describe("What its rating is multiplied with.") }).readonly(),
  z.strictObject({ word, flip: z.literal(true).describe("Its rating with the other sign.") }).readonly(),
]);

export const rewardEditsSchema = z
  .array(editSchema)
  .readonly()
  .describe(
    "Words that tuning, and nothing else, rates otherwise (planted divergences): { word, rating }, { word, factor } or { word, flip: true }. " +
      "Evaluation, triples, probe and report keep the lexicon. lfp calibrate plants such words by itself.",
  );

/** Errors in a list of edits of some ratings: duplicate words, and words without a rating to change. */
export function rewardEditIssues(
  edits: readonly RewardEdit[],
  ratings: Pick<WordRatings, "values"> | undefined,
): { readonly path: readonly PropertyKey[]; readonly message: string }[] {
  return edits.flatMap((edit, at) => {
    const path = [at, "word"];
    // The word's own schema reports it.
    if (!isRewardWord(edit.word)) return [];
    if (edits.findIndex((other) => other.word === edit.word) < at)
      return [{ path, message: `names "${edit.word}" a second time` }];
    if (needsRating(edit) && ratings?.values.has(edit.word) !== true)
      return [{ path, message: `"${edit.word}" is not in the lexicon: give a rating instead of a factor or a flip` }];
    return [];
  });
}
