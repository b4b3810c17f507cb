/**
 * Preference files: what a model learned about the pairs of a document's records, one a line. Offsets are in UTF-16 units
 * of the document at the given version.
 */
import * as z from "zod";
import { AblationSet } from "./ablation.ts";
import { defineNotification, defineRequest } from "./message.ts";

const offset = z.int().min(0);

/** What was read of a record's two answers, or why it was not read. */
export const PairResult = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("read"),
    /** Sums of the learned reward over the answers' tokens, in nats. */
    chosen: z.number(),
    rejected: z.number(),
    /** Beta times chosen minus rejected: above zero, the model learned the given preference. */
    margin: z.number(),
    /** Whether the end of an answer was cut off. */
    isCut: z.boolean(),
  }),
  z.object({ kind: z.literal("unread"), why: z.string() }),
]);
export type PairResult = z.infer<typeof PairResult>;

/** A record that is a preference. */
export const ReadPairRecord = z.object({
  /** From 0. */
  line: z.int().min(0),
  start: offset,
  end: offset,
  result: PairResult,
});
export type ReadPairRecord = z.infer<typeof ReadPairRecord>;

/** How many of a document's pairs were read, and how they were learned. */
export const PairCounts = z.object({
  read: z.int().min(0),
  /** Pairs with a margin above zero. */
  agreed: z.int().min(0),
  /** Preferences that give no pair, or that cannot be read. */
  unread: z.int().min(0),
});
export type PairCounts = z.infer<typeof PairCounts>;

/** Server to editor: the pairs of a document that have been read by now. */
export const PairsRead = defineNotification(
  "lfp/pairsRead",
  z.object({ uri: z.string(), version: z.int(), counts: PairCounts }),
);

/**
 * Reads the pairs of a document from a line on, in one direction, for about a second. The editor asks again from `next`,
 * so that it can show progress and stop.
 */
export const WalkPairs = defineRequest(
  "lfp/walkPairs",
  z.object({
    uri: z.string(),
    version: z.int(),
    ablation: AblationSet.nullable(),
    from: z.int().min(0),
    direction: z.union([z.literal(1), z.literal(-1)]),
    /** Whether to stop at the first pair that was learned the other way. */
    untilDiffers: z.boolean().default(false),
  }),
  z.object({
    version: z.int(),
    /** The pairs that were learned the other way: with a margin of zero or below. */
    differing: z.array(ReadPairRecord),
    counts: PairCounts,
    /** The line to go on from; null at the end. */
    next: z.int().nullable(),
    /** Number of the document's lines. */
    lines: z.int(),
  }),
);

/** Lists the words that make up the margin of the pair whose line contains `offset`, those with the largest shares first. */
export const DescribePair = defineRequest(
  "lfp/describePair",
  z.object({
    uri: z.string(),
    version: z.int(),
    ablation: AblationSet.nullable(),
    offset,
    words: z.int().min(1).max(200),
  }),
  z
    .object({
      record: ReadPairRecord,
      words: z.array(
        z.object({
          start: offset,
          end: offset,
          text: z.string(),
          side: z.enum(["chosen", "rejected"]),
          /** Its part of the margin, in nats. */
          share: z.number(),
        }),
      ),
      /** Number and share of the words that are not listed, punctuation and ends of answers among them. */
      rest: z.number(),
    })
    .nullable(),
);

/** Whether a pair was read and learned the other way than given. */
export function differs({ result }: Pick<ReadPairRecord, "result">): boolean {
  return result.kind === "read" && !(result.margin > 0);
}

/** Counts pairs that were read. */
export function countPairs(records: Iterable<Pick<ReadPairRecord, "result">>): PairCounts {
  let [read, agreed, unread] = [0, 0, 0];
  for (const { result } of records) {
    if (result.kind === "unread") unread += 1;
    else {
      read += 1;
      if (result.margin > 0) agreed += 1;
    }
  }
  return { read, agreed, unread };
}
