/**
 * Problems. Words whose implicit and true reward differ in sign are published as LSP diagnostics of severity Information; what is wrong with experiment
 * files, beyond what their JSON Schema says, as errors and warnings.
 */
import * as z from "zod";
import { LensMode } from "./lens.ts";
import { LensUnit } from "./lens-unit.ts";
import { defineNotification } from "./message.ts";

export const problemSource = "LFP Lens";
/** What is wrong with experiment files, as errors and warnings. */
export const experimentSource = "LFP Lens experiment";

/** Whether a document, by its URI or path, is an experiment file. */
export function isExperimentFile(uri: string): boolean {
  return uri.endsWith(EXPERIMENT_ENDING);
}

export const EXPERIMENT_ENDING = ".lfp-experiment.json";

/** `code` of a diagnostic. */
export const ProblemCode = z.enum([
  /** Implicit and true reward of a word differ in sign. */
  "reward-disagreement",
  /** Says that there are more than the setting's limit. */
  "reward-disagreement-limit",
  /** An experiment file asks for what cannot be run. */
  "experiment",
]);
export type ProblemCode = z.infer<typeof ProblemCode>;

/** Of a longer word the beginning stands for it. */
export const MAX_WORD_UNITS = 1000;

/** `data` of a `reward-disagreement`, which comes back with a request for code actions. */
export const ProblemData = z.object({
  /** UTF-16 units of the document at the version that the problem was published for. */
  start: z.int().min(0),
  end: z.int().min(0),
  word: z.string().max(MAX_WORD_UNITS),
  /** Names the passage that the word stands in by its text. */
  passage: z.string(),
});
export type ProblemData = z.infer<typeof ProblemData>;

/**
 * Editor to server: whether a document's readings are shown, and so its problems and the hovers of its tokens are wanted. For a document that
 * this was never told of, or that is closed, nothing is read unasked; for problems `lfpLens.problems.enabled` off outweighs it.
 */
export const ProblemsWanted = defineNotification(
  "lfp/problemsWanted",
  z.object({
    uri: z.string(),
    wanted: z.boolean(),
    /** What its colours are, which hovers begin with; null: the reading that problems go by, by word. */
    shown: z.object({ mode: LensMode, unit: LensUnit }).nullable().default(null),
  }),
);

/** A word that is no problem: in one passage of a document, or (null) anywhere in it. The editor keeps the list and sends it with its options. */
export const IgnoredWord = z.object({
  uri: z.string(),
  word: z.string().max(MAX_WORD_UNITS),
  passage: z.string().nullable(),
});
export type IgnoredWord = z.infer<typeof IgnoredWord>;
