/** Pairs of answers, as the `prepare` stage of a run on preference data writes them. */
import { z } from "zod";
import type { PairForm } from "../../tasks/pairs/pair-texts.ts";
import type { PreferenceFault, PreferenceRule } from "../../tasks/pairs/preference-rows.ts";
import type { PairLoss } from "../../tuning/preference-tokens.ts";
import { readJson, readJsonLines } from "./json-files.ts";
import { countsFile, countsSchema } from "./texts.ts";

/** Files of the `prepare` stage: pairs to tune on, pairs kept out of tuning, and pairs that features are studied on. */
export const tuningPairs = "tuning-pairs.jsonl";
export const heldOutPairs = "held-out-pairs.jsonl";
export const analysisPairs = "analysis-pairs.jsonl";

const rule = z.enum(["given", "transcript", "sharedText", "sharedMessages"] satisfies PreferenceRule[]);
const form = z.enum(["texts", "template", "plain"] satisfies PairForm[]);
const fault = z.enum([
  "fields",
  "promptKind",
  "moreAnswers",
  "otherPrompt",
  "noPrompt",
  "emptyAnswer",
  "equalAnswers",
  "lastTurn",
  "templateFields",
] satisfies PreferenceFault[]);
const loss = z.enum(["longPrompt", "noTokens", "merged", "equal"] satisfies PairLoss[]);

/** Two answers to a prompt, as texts that a model reads one after the other. */
export const pairRecord = z.strictObject({
  /** Its file and row, such as `pairs.jsonl/17`. */
  id: z.string().min(1),
  /** Name of its prompt: pairs of one prompt have one group, and no split parts a group. */
  group: z.string().min(1),
  /** Rule by which the row was split into prompt and answers. */
  rule,
  /** Where the texts come from; a chat template already ends its answers. */
  form,
  prompt: z.string(),
  chosen: z.string(),
  rejected: z.string(),
  /** The prompt as the template writes it alone, where prompt and answer together do not begin with it. */
  promptAlone: z.string().optional(),
});
export type PairRecord = z.infer<typeof pairRecord>;

/** Lengths of answers, in tokens. */
const lengthsSchema = z.object({ mean: z.number(), median: z.number(), min: z.int(), max: z.int() });
export type Lengths = z.infer<typeof lengthsSchema>;

/** Pairs for one purpose, as tokens by the run's rule. */
const pairSetSchema = z.object({
  pairs: z.int(),
  /** Number of prompts. */
  groups: z.int(),
  /** Pairs of which the rule cut the prompt, or an answer. */
  cut: z.object({ prompt: z.int(), chosen: z.int(), rejected: z.int() }),
  lengths: z.object({ chosen: lengthsSchema, rejected: lengthsSchema }),
  /** Pairs whose chosen answer has more tokens, and pairs whose answers have equally many. */
  longerChosen: z.int(),
  equallyLong: z.int(),
});
export type PairSet = z.infer<typeof pairSetSchema>;

const readSchema = z.object({
  rows: z.int(),
  /** Rows that give a pair, by the rule that splits them. */
  rules: z.partialRecord(rule, z.int()),
  /** Rows that give none, by reason. */
  faults: z.partialRecord(fault, z.int()),
  /** Pairs with so many combining marks in a row that no tokenizer can normalise them. */
  endlessMarks: z.int(),
  /** Pairs of messages that the model's chat template refuses, such as turns out of order. */
  refused: z.int(),
  /** Pairs that were drawn. */
  drawn: z.int(),
  forms: z.partialRecord(form, z.int()),
  /** Pairs whose prompt and answer together do not begin with the tokens of the prompt alone. */
  unshared: z.int(),
  /** Of the drawn pairs, those whose tokens leave nothing to learn, by reason. */
  lost: z.partialRecord(loss, z.int()),
});
/** What a source of preference data held. */
export type PairsRead = z.infer<typeof readSchema>;

/** What became of the rows. */
export const pairCountsSchema = countsSchema.extend({
  read: z.object({ data: readSchema, analysis: readSchema.nullable() }),
  sets: z.object({ tuning: pairSetSchema, heldOut: pairSetSchema, analysis: pairSetSchema }),
});
export type PairCounts = z.infer<typeof pairCountsSchema>;

/** The pairs of one of the files above. */
export function readPairs(folder: string, file: string): Promise<PairRecord[]> {
  return readJsonLines(folder, file, pairRecord);
}

export function readPairCounts(folder: string): Promise<PairCounts> {
  return readJson(folder, countsFile, pairCountsSchema);
}
