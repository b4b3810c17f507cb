/** The tokens of a preference pair, as TRL makes them, for a document that the editor shows. */
import * as z from "zod";
import { defineRequest } from "./message.ts";

/** Maximum length of a record, in UTF-16 units. */
export const MAX_RECORD = 2 ** 20;

/**
 * Inspects a record of preference data with the tokenizer and chat template of what is looked through: the run's model
 * and its own rule for tokens, or the compared checkpoint. `row` counts from 0.
 */
export const InspectPair = defineRequest(
  "lfp/inspectPair",
  z.object({ record: z.string().max(MAX_RECORD), data: z.string().max(4096), row: z.int().min(0) }),
  z.object({ markdown: z.string() }),
);
