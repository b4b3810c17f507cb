import { z } from "zod";
import { LfpError } from "../../common/errors.ts";
import type { SourceText } from "../task.ts";

/** A line of a review file that holds no review. */
export class ReviewRecordError extends LfpError {
  readonly code = "input";
}

/** What IMDb's files and the starter's hold: a review, and maybe its class, which nothing here uses. */
const recordSchema = z.object({ text: z.string() });

/**
 * Parsed JSONL records as texts, named `origin/line` from 0. HTML line breaks become real ones, so that they neither glue
 * words together nor count as words. Throws `ReviewRecordError` naming the line.
 */
export function* reviewTexts(records: Iterable<unknown>, origin: string): Generator<SourceText> {
  let line = 0;
  for (const record of records) {
    const parsed = recordSchema.safeParse(record);
    if (!parsed.success)
      throw new ReviewRecordError(
        `line ${line + 1} of ${origin} is no review: ${z.prettifyError(parsed.error)}. Each line is an object with "text".`,
      );
    yield { id: `${origin}/${line}`, text: parsed.data.text.replaceAll(LINE_BREAKS, "\n") };
    line += 1;
  }
}

const LINE_BREAKS = /\s*(?:<br\s*\/?>\s*)+/giu;
