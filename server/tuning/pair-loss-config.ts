/** Settings of what is learned from a pair of answers. */
import { z } from "zod";

/** Loss of a pair's scores; `dpo-loss.ts` has one row for each. */
export const DpoLossConfig = z.discriminatedUnion("kind", [
  z
    .strictObject({
      kind: z.literal("sigmoid"),
      labelSmoothing: z
        .number()
        .min(0)
        .lt(0.5)
        .describe("Share of pairs that are taken to be labelled the wrong way round (conservative DPO); 0: none."),
    })
    .readonly(),
  z.strictObject({ kind: z.literal("hinge") }).readonly(),
  z.strictObject({ kind: z.literal("ipo") }).readonly(),
]);
export type DpoLossConfig = z.infer<typeof DpoLossConfig>;
