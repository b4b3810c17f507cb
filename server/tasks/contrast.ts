/**
 * Contrasts: spans of texts that the feedback likes, dislikes, and is indifferent to. Of a task of words, a span is a
 * word in a sentence (`Triple`); of a task of pairs, an answer after its prompt.
 */
import { z } from "zod";
import type { Span } from "./task.ts";

/** What contrasts of words and of pairs have in common. */
export interface Contrasted {
  readonly id: string;
  /** Name of what it was made from, such as "imdb/test/17". */
  readonly source: string;
  readonly positive: Span;
  /** Absent where nothing indifferent is known. */
  readonly neutral?: Span | undefined;
  readonly negative: Span;
}

const sidesInOrder = ["positive", "negative", "neutral"] as const;

/**
 * The spans to read of contrasts, in the order of `TripleFeatures`: all positive ones, all negative ones, and those
 * neutral ones that there are.
 */
export function spansOf<C extends Contrasted>(contrasts: readonly C[]): readonly Span[] {
  return sidesInOrder.flatMap((side) => contrasts.flatMap((contrast) => contrast[side] ?? []));
}

const spanSchema = z
  .strictObject({
    text: z.string(),
    /** `text.slice(start, end)`, in UTF-16 units. */
    start: z.int().min(0),
    end: z.int().min(1),
  })
  .refine(({ text, start, end }) => start < end && end <= text.length, "the range lies outside of the text")
  .readonly();

/** A contrast as a line of a file; `provenance` is free for what made it, such as the model that rewrote an answer. */
export const contrastSchema = z
  .strictObject({
    id: z.string().min(1),
    source: z.string(),
    /** What no split may part: contrasts of one group, such as answers to one prompt, stand on the same side. */
    group: z.string(),
    positive: spanSchema,
    neutral: spanSchema.optional(),
    negative: spanSchema,
    provenance: z.record(z.string(), z.json()).optional(),
  })
  .readonly();

export type Contrast = z.infer<typeof contrastSchema>;
