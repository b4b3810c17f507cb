/** The unit that an overlay's numbers refer to. A file of its own because settings need it before anything is read. */
import * as z from "zod";

/**
 * Words (the feedback's where it rates words, otherwise Unicode's; spaces and punctuation have no number), or the
 * model's tokens, which tile the text. A word's learned reward is the sum over its tokens; readings based on features
 * use the word's features, in the form in which the run's probe was trained on words.
 */
export const LensUnit = z.enum(["word", "token"]);
export type LensUnit = z.infer<typeof LensUnit>;
