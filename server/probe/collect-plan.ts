import { LfpError } from "../common/errors.ts";
import { ContextLengthError } from "../models/errors.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Span } from "../tasks/task.ts";

/** A text up to its target, as the model reads it. */
export interface TargetSequence {
  /** Row of the result. */
  readonly row: number;
  readonly ids: Int32Array;
  /** Positions of the target's tokens in `ids`, ascending; at least one. */
  readonly places: readonly number[];
  /** Number of leading tokens that the model attends to, if the rest is padding that the target counts in. */
  readonly attended?: number;
}

/** Texts that run together: `sequences` padded on the right to `tokens`. */
export interface CollectBatch {
  readonly bucket: Bucket;
  readonly sequences: readonly TargetSequence[];
}

/** The static shape of a program: B texts of T tokens with R target tokens between them. */
export interface Bucket {
  readonly texts: number;
  readonly tokens: number;
  readonly targets: number;
}

export interface PlanOptions {
  readonly tokenizer: Tokenizer;
  readonly contextLength: number;
  readonly multiToken: "average" | "firstPiece";
  readonly prefixIds: readonly number[];
  readonly tokensPerRun: number;
  /** Expected mean number of targets a text; `measured` takes that of the texts of each length. */
  readonly targetsPerText?: number | "measured";
}

/** No token of the text covers the target: its range is empty or outspan. */
export class TargetPlaceError extends LfpError {
  readonly code = "input";

  constructor({ text, start, end }: Span) {
    const shown = JSON.stringify(text.slice(0, 80));
    super(`no token stands at ${start} to ${end} of ${shown}; give the range of the target in that text`);
  }
}

/**
 * The tokens that a causal model must read to know the target: those up to the target's last (or first) one. What comes after
 * cannot change its activations. Throws `ContextLengthError` and `TargetPlaceError`.
 */
export function targetSequence(span: Span, row: number, options: PlanOptions): TargetSequence {
  const { tokenizer, contextLength, multiToken, prefixIds } = options;
  // The prefix precedes every text, as in the autoencoders' training: a post-processor that adds a BOS would double it.
  const { ids, ranges } = tokenizer.encode(span.text, { addSpecialTokens: false });
  const all = [...ranges.keys()].filter((token) => {
    const range = ranges[token] ?? { start: 0, end: 0 };
    return range.start < span.end && range.end > span.start;
  });
  const [first] = all;
  if (first === undefined) throw new TargetPlaceError(span);
  const pieces = multiToken === "average" ? all : [first];
  const length = prefixIds.length + (pieces.at(-1) ?? first) + 1;
  if (length > contextLength)
    throw new ContextLengthError(length, contextLength, `the text up to "${span.text.slice(span.start, span.end)}"`);
  return {
    row,
    ids: Int32Array.from([...prefixIds, ...ids.subarray(0, length - prefixIds.length)]),
    places: pieces.map((piece) => piece + prefixIds.length),
  };
}

/**
 * Groups texts into batches, each bucket with one static shape, shortest texts first; the order depends on the texts
 * alone.
 */
export function planBatches(
  sequences: readonly TargetSequence[],
  options: Pick<PlanOptions, "contextLength" | "tokensPerRun" | "targetsPerText">,
): CollectBatch[] {
  const byLength = new Map<number, TargetSequence[]>();
  for (const sequence of sequences) {
    const tokens = Math.min(bucketLength(sequence.ids.length), options.contextLength);
    const bucket = byLength.get(tokens);
    if (bucket) bucket.push(sequence);
    else byLength.set(tokens, [sequence]);
  }
  return [...byLength].sort(([a], [b]) => a - b).flatMap(([tokens, members]) => batchesOf(tokens, members, options));
}

/** 8, 12, 16, 24, 32, 48 and so on: few shapes to compile, and less than half of a text is padding. */
function bucketLength(tokens: number): number {
  let length = 8;
  while (length < tokens) length += 2 ** Math.floor(Math.log2(length)) / 2;
  return length;
}

function batchesOf(
  tokens: number,
  members: readonly TargetSequence[],
  { tokensPerRun, targetsPerText = 1.25 }: Pick<PlanOptions, "tokensPerRun" | "targetsPerText">,
): CollectBatch[] {
  const texts = Math.min(members.length, Math.max(1, Math.floor(tokensPerRun / tokens)));
  const pieces = members.map(({ places }) => places.length);
  const mostPieces = pieces.reduce((most, count) => Math.max(most, count), 0);
  const each =
    targetsPerText === "measured"
      ? (1.1 * pieces.reduce((sum, count) => sum + count, 0)) / members.length
      : targetsPerText;
  const bucket = { texts, tokens, targets: Math.max(mostPieces, Math.ceil(each * texts)) };
  const batches: TargetSequence[][] = [];
  let current: TargetSequence[] = [];
  let targets = 0;
  for (const sequence of members) {
    if (current.length === texts || targets + sequence.places.length > bucket.targets) {
      batches.push(current);
      current = [];
      targets = 0;
    }
    current.push(sequence);
    targets += sequence.places.length;
  }
  batches.push(current);
  return batches.map((batch) => ({ bucket, sequences: batch }));
}
