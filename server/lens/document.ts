/** Reads whole documents, passage by passage. */
import { UnreadableTextError } from "../models/tokenizer.ts";
import type { LensMode } from "../protocol/lens.ts";
import { contextOf, readAnswer, spanWithin } from "./answer-values.ts";
import { UnreadPassageError } from "./errors.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import { type PairReading, wordsOf } from "./pair-reading.ts";
import { endInDocument, type Passage, toDocument } from "./passages.ts";
import { unitValuesOf } from "./read-passage.ts";

/** A token of a document: its range there, its text in the passage, and its values. */
export interface ScoredDocumentToken {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Implicit reward without an ablation. */
  readonly implicit: number;
  readonly trueReward: number | null;
  /**
   * Leverage of the token's features divided by the limit, without an ablation: above 1, `implicit` is an
   * extrapolation. Null if the run has no limit.
   */
  readonly familiarity: number | null;
  /** The mode's value. */
  readonly value: number | null;
}

/** A token of a document with the values of two models, in nats. */
export interface PairDocumentToken {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** See `PairReading`. */
  readonly learned: number | null;
  readonly kl: number | null;
  /**
   * The learned reward of the word that the token belongs to, the sum over its tokens. Null outside words, and if
   * one of the word's tokens has none.
   */
  readonly word: number | null;
}

/** A passage's tokens; `refused` is the reason if it has none. */
export interface ScoredPassage<T = ScoredDocumentToken> {
  readonly start: number;
  readonly end: number;
  readonly tokens: readonly T[];
  readonly refused: string | undefined;
}

/** A word of a document with the values of two models. */
export interface PairDocumentWord extends Omit<PairDocumentToken, "word"> {}

export interface ScoredPairPassage extends ScoredPassage<PairDocumentToken> {
  readonly words: readonly PairDocumentWord[];
}

/**
 * Reads passages in order, one ahead of the consumer: an answer of a pair given its prompt, a message in its
 * conversation. A passage that cannot be read yields its reason, and the rest continues.
 */
export function scorePassages(
  lens: Lens,
  passages: Iterable<Passage>,
  mode: LensMode,
  options: ReadOptions = {},
): AsyncGenerator<ScoredPassage> {
  return oneAhead(passages, (passage) => scorePassage(lens, passage, mode, options));
}

/** The same, by two models alone. */
export function scorePairPassages(
  reader: PairReader,
  passages: Iterable<Passage>,
  options: ReadOptions = {},
): AsyncGenerator<ScoredPairPassage> {
  return oneAhead(passages, (passage) => scorePairPassage(reader, passage, options));
}

async function* oneAhead<T>(passages: Iterable<Passage>, score: (passage: Passage) => Promise<T>): AsyncGenerator<T> {
  let current: Promise<T> | undefined;
  for (const passage of passages) {
    const next = score(passage);
    // Prevents an unhandled rejection: the consumer, who receives the failure, may stop early.
    next.catch(() => undefined);
    if (current !== undefined) yield await current;
    current = next;
  }
  if (current !== undefined) yield await current;
}

async function scorePassage(
  lens: Lens,
  passage: Passage,
  mode: LensMode,
  options: ReadOptions,
): Promise<ScoredPassage> {
  const tokens = await unlessRefused(async () => {
    const { text, from, templated } = contextOf(passage);
    const plain = await lens.read(text, { ...options, templated, ablation: null });
    const shown = await unitValuesOf(lens, passage, { mode, unit: "token" }, options);
    const values = new Map(shown.values.map((value, at) => [shown.starts[at], value]));
    return tokensWithin(plain, from, from + passage.text.length).map(({ at, start, end }): ScoredDocumentToken => {
      return {
        ...inDocument(passage, start, end),
        implicit: plain.implicit[at] ?? Number.NaN,
        trueReward: plain.trueReward[at] ?? null,
        familiarity: plain.familiarity?.[at] ?? null,
        value: values.get(start) ?? null,
      };
    });
  });
  return { ...placeOf(passage), ...(typeof tokens === "string" ? refusal(tokens) : { tokens, refused: undefined }) };
}

async function scorePairPassage(
  reader: PairReader,
  passage: Passage,
  options: ReadOptions,
): Promise<ScoredPairPassage> {
  const read = await unlessRefused(() => readByPair(reader, passage, options));
  if (typeof read === "string") return { ...placeOf(passage), ...refusal(read), words: [] };
  const { reading, text, from } = read;
  const to = from + passage.text.length;
  const words = wordsOf(reading, text).filter(({ start, end }) => end > from && start < to);
  let next = 0;
  const tokens = tokensWithin(reading, from, to).map(({ at, start, end }): PairDocumentToken => {
    while ((words[next]?.endToken ?? Number.POSITIVE_INFINITY) <= at) next += 1;
    const word = words[next];
    return {
      ...inDocument(passage, start, end),
      learned: reading.learned[at] ?? null,
      kl: reading.kl[at] ?? null,
      word: word !== undefined && word.firstToken <= at ? word.learned : null,
    };
  });
  const placed = (offset: number): number => Math.min(to, Math.max(from, offset)) - from;
  return {
    ...placeOf(passage),
    tokens,
    words: words.map(({ start, end, learned, kl }) => ({
      ...inDocument(passage, placed(start), placed(end)),
      learned,
      kl,
    })),
    refused: undefined,
  };
}

/** What two models read for a passage, and where it begins in the text of that. */
async function readByPair(
  reader: PairReader,
  passage: Passage,
  options: ReadOptions,
): Promise<{ readonly reading: PairReading; readonly text: string; readonly from: number }> {
  const { text, from, templated } = contextOf(passage);
  const { answer } = passage;
  if (answer === undefined) return { reading: await reader.readPair(text, { ...options, templated }), text, from };
  return { reading: await readAnswer(reader, answer, options), text: answer.texts[answer.side], from: answer.at };
}

/** The tokens of a reading that a range of its text touches, in offsets from the range's beginning, cut to it. */
function tokensWithin(
  reading: Pick<PairReading, "starts" | "ends">,
  from: number,
  to: number,
): { readonly at: number; readonly start: number; readonly end: number }[] {
  const { firstToken, endToken } = spanWithin(reading, from, to);
  return Array.from({ length: endToken - firstToken }, (_, index) => {
    const at = firstToken + index;
    const start = Math.max(from, reading.starts[at] ?? from) - from;
    return { at, start, end: Math.min(to, reading.ends[at] ?? from) - from };
  });
}

function placeOf({ start, end }: Passage): Pick<Passage, "start" | "end"> {
  return { start, end };
}

/** A range of a passage, in document offsets. */
function inDocument(passage: Passage, from: number, to: number): { start: number; end: number; text: string } {
  return { start: toDocument(passage, from), end: endInDocument(passage, to), text: passage.text.slice(from, to) };
}

function refusal(refused: string): { tokens: []; refused: string } {
  return { tokens: [], refused };
}

/** The result, or the reason why the text cannot be read. */
async function unlessRefused<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof UnreadableTextError || error instanceof UnreadPassageError)) throw error;
    return error.message;
  }
}
