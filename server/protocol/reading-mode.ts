/**
 * The modes that read what a model learned; see `LensMode`. A file of their own because settings need them before
 * anything is read.
 */
import * as z from "zod";

/** A reading of what the model learned: the first colours show it, and problems are based on it. */
export const ReadingMode = z.enum(["learned", "fitted", "implicit", "tunedMinusBase"]);
export type ReadingMode = z.infer<typeof ReadingMode>;

/** The setting `lfpLens.reading`: a reading, or `auto` for the one with the most measured power. */
export const ReadingChoice = z.enum(["auto", ...ReadingMode.options]);
export type ReadingChoice = z.infer<typeof ReadingChoice>;
