/** Reads whole documents, passage by passage. */
import { UnreadableTextError } from "../models/tokenizer.ts";
import type { LensMode } from "../protocol/lens.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import { wordsOf } from "./pair-reading.ts";
import { endInDocument, type Passage, toDocument } from "./passages.ts";
import { valuesOf } from "./values.ts";

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
 * Reads passages in order, one ahead of the consumer. A passage that cannot be tokenized yields its reason, and the
 * rest continues.
 */
export function scorePassages(
  lens: Lens,
  passages: readonly Passage[],
  mode: LensMode,
  options: ReadOptions = {},
): AsyncGenerator<ScoredPassage> {
  return oneAhead(passages, (passage) => scorePassage(lens, passage, mode, options));
}

/** The same, by two models alone. */
export function scorePairPassages(
  reader: PairReader,
  passages: readonly Passage[],
  options: ReadOptions = {},
): AsyncGenerator<ScoredPairPassage> {
  return oneAhead(passages, (passage) => scorePairPassage(reader, passage, options));
}

async function* oneAhead<T>(passages: readonly Passage[], score: (passage: Passage) => Promise<T>): AsyncGenerator<T> {
  const start = (at: number): Promise<T> | undefined => {
    const passage = passages[at];
    const scored = passage === undefined ? undefined : score(passage);
    // Prevents an unhandled rejection: the consumer, who receives the failure, may stop early.
    scored?.catch(() => undefined);
    return scored;
  };
  let next = start(0);
  for (let at = 1; next !== undefined; at++) {
    const current = next;
    next = start(at);
    yield await current;
  }
}

async function scorePassage(
  lens: Lens,
  passage: Passage,
  mode: LensMode,
  options: ReadOptions,
): Promise<ScoredPassage> {
  const { text } = passage;
  const tokens = await unlessRefused(async () => {
    const plain = await lens.read(text, { ...options, ablation: null });
    const { values } = await valuesOf(lens, text, mode, options);
    return Array.from(plain.starts, (from, token): ScoredDocumentToken => {
      const to = plain.ends[token] ?? from;
      return {
        ...inDocument(passage, from, to),
        implicit: plain.implicit[token] ?? Number.NaN,
        trueReward: plain.trueReward[token] ?? null,
        familiarity: plain.familiarity?.[token] ?? null,
        value: values[token] ?? null,
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
  const reading = await unlessRefused(() => reader.readPair(passage.text, options));
  if (typeof reading === "string") return { ...placeOf(passage), ...refusal(reading), words: [] };
  const words = wordsOf(reading, passage.text);
  let at = 0;
  const tokens = Array.from(reading.starts, (from, token): PairDocumentToken => {
    while ((words[at]?.endToken ?? Number.POSITIVE_INFINITY) <= token) at += 1;
    const word = words[at];
    return {
      ...inDocument(passage, from, reading.ends[token] ?? from),
      learned: reading.learned[token] ?? null,
      kl: reading.kl[token] ?? null,
      word: word !== undefined && word.firstToken <= token ? word.learned : null,
    };
  });
  return {
    ...placeOf(passage),
    tokens,
    words: words.map(({ start, end, learned, kl }) => ({ ...inDocument(passage, start, end), learned, kl })),
    refused: undefined,
  };
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
    if (!(error instanceof UnreadableTextError)) throw error;
    return error.message;
  }
}
