/** What an overlay's numbers are of. A file of its own because settings need it before anything is read. */
import * as z from "zod";

/**
 * Words (those that the feedback rates, elsewhere those of Unicode; spaces and punctuation have no number), or the model's tokens, which tile the text. A
 * word's learned reward is the sum over its tokens; what reads features is read at the word's features, as the run's probe was given words.
 */
export const LensUnit = z.enum(["word", "token"]);
export type LensUnit = z.infer<typeof LensUnit>;
