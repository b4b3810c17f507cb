/** No feedback: a run that learns from pairs of answers has none, because the pairs are the preference. */
import { z } from "zod";
import { InternalError } from "../common/errors.ts";
import type { Reward } from "./reward.ts";

export const NoRewardConfig = z
  .strictObject({ kind: z.literal("none").describe("There is no feedback: the pairs of the data are the preference.") })
  .readonly();

/** A reward that nothing may ask: whoever scores with it has missed that the run has none. */
export function noReward(): Reward {
  return {
    name: "none",
    score: () => Promise.reject(new InternalError("a run on pairs of answers was asked for rewards, but it has none")),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
