/** The modes that read what a model learned; see `LensMode`. A file of their own because settings need them before anything is read. */
import * as z from "zod";

/** Colours begin with one of them, and problems go by it. */
export const ReadingMode = z.enum(["learned", "fitted", "implicit", "tunedMinusBase"]);
export type ReadingMode = z.infer<typeof ReadingMode>;

/** The setting `lfpLens.reading`: one of them, or the one with the most measured power. */
export const ReadingChoice = z.enum(["auto", ...ReadingMode.options]);
export type ReadingChoice = z.infer<typeof ReadingChoice>;
