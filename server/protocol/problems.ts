/**
 * Problems, published as LSP diagnostics: words whose implicit and true reward differ in sign, with severity
 * Information; faults of experiment files beyond what their JSON Schema checks, as errors and warnings.
 */
import * as z from "zod";
import { LensMode } from "./lens.ts";
import { LensUnit } from "./lens-unit.ts";
import { defineNotification } from "./message.ts";

export const problemSource = "LFP Lens";
/** `source` of the diagnostics of experiment files. */
export const experimentSource = "LFP Lens experiment";

/** Whether a document, by its URI or path, is an experiment file. */
export function isExperimentFile(uri: string): boolean {
  return uri.endsWith(".lfp-experiment.json");
}

/** Whether a document, by its URI or path, is a sweep file. */
export function isSweepFile(uri: string): boolean {
  return uri.endsWith(".lfp-sweep.json");
}

/** The `code` of a diagnostic. */
export const ProblemCode = z.enum([
  /** Implicit and true reward of a word differ in sign. */
  "reward-disagreement",
  /** More words disagree than the setting's limit allows to show. */
  "reward-disagreement-limit",
  /** The model learned a pair of answers the other way than its record gives it. */
  "pair-disagreement",
  /** More pairs were learned the other way than the setting's limit allows to show. */
  "pair-disagreement-limit",
  /** An experiment or sweep file describes something that cannot run. */
  "experiment",
]);
export type ProblemCode = z.infer<typeof ProblemCode>;

/** Maximum length of a word, in UTF-16 units; a longer word is represented by its beginning. */
export const MAX_WORD_UNITS = 1000;

/** `data` of a `reward-disagreement`, which comes back with a request for code actions. */
export const ProblemData = z.object({
  /** UTF-16 units of the document at the version that the problem was published for. */
  start: z.int().min(0),
  end: z.int().min(0),
  word: z.string().max(MAX_WORD_UNITS),
  /** Identifies the word's passage by its text. */
  passage: z.string(),
});
export type ProblemData = z.infer<typeof ProblemData>;

/** `data` of a `pair-disagreement`: of the name of the record's chosen answer, with the pair's digest as its passage. */
export const PairProblemData = ProblemData.extend({
  /** How the pair is called in lists: the beginning of its chosen answer. */
  label: z.string().max(MAX_WORD_UNITS),
});
export type PairProblemData = z.infer<typeof PairProblemData>;

/**
 * Editor to server: whether a document's readings are shown, and so its problems and token hovers wanted. The server
 * reads nothing unasked for a document without this notification, or for a closed one; `lfpLens.problems.enabled` off
 * switches problems off regardless.
 */
export const ProblemsWanted = defineNotification(
  "lfp/problemsWanted",
  z.object({
    uri: z.string(),
    wanted: z.boolean(),
    /** What the colours show, with which hovers begin; null: the reading on which problems are based, by word. */
    shown: z.object({ mode: LensMode, unit: LensUnit }).nullable().default(null),
  }),
);

/**
 * A word not to report as a problem: in one passage of a document, or (null) anywhere in it. The editor keeps the list
 * and sends it with its options.
 */
export const IgnoredWord = z.object({
  uri: z.string(),
  word: z.string().max(MAX_WORD_UNITS),
  passage: z.string().nullable(),
});
export type IgnoredWord = z.infer<typeof IgnoredWord>;
