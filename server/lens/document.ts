/** Whole documents, passage by passage. */
import { CombiningRunError } from "../models/tokenizer.ts";
import type { LensMode } from "../protocol/lens.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import { type Passage, toDocument } from "./passages.ts";
import { valuesOf } from "./values.ts";

/** A token of a document: its place there, what the model read there, and its numbers. */
export interface ScoredDocumentToken {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Without an ablation. */
  readonly implicit: number;
  readonly trueReward: number | null;
  /** Leverage of the token's features over its limit, without an ablation: above 1 `implicit` is an extrapolation. Null where the run does not say. */
  readonly familiarity: number | null;
  /** The mode's value. */
  readonly value: number | null;
}

/** A passage's tokens; `refused` says why a passage has none. */
export interface ScoredPassage {
  readonly start: number;
  readonly end: number;
  readonly tokens: readonly ScoredDocumentToken[];
  readonly refused: string | undefined;
}

/** Reads passages in order; while one is handed out, the next is under way. A passage that cannot be tokenized is told, and the rest goes on. */
export async function* scorePassages(
  lens: Lens,
  passages: readonly Passage[],
  mode: LensMode,
  options: ReadOptions = {},
): AsyncGenerator<ScoredPassage> {
  const start = (at: number): Promise<ScoredPassage> | undefined => {
    const passage = passages[at];
    const scored = passage === undefined ? undefined : scorePassage(lens, passage, mode, options);
    // Whoever waits for it hears of a failure; nobody may come to wait.
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
  const { start, end, text } = passage;
  try {
    const plain = await lens.read(text, { ...options, ablation: null });
    const { values } = await valuesOf(lens, text, mode, options);
    const tokens = Array.from(plain.starts, (from, token): ScoredDocumentToken => {
      const to = plain.ends[token] ?? from;
      return {
        start: toDocument(passage, from),
        end: toDocument(passage, to),
        text: text.slice(from, to),
        implicit: plain.implicit[token] ?? Number.NaN,
        trueReward: plain.trueReward[token] ?? null,
        familiarity: plain.familiarity?.[token] ?? null,
        value: values[token] ?? null,
      };
    });
    return { start, end, tokens, refused: undefined };
  } catch (error) {
    if (!(error instanceof CombiningRunError)) throw error;
    return { start, end, tokens: [], refused: error.message };
  }
}
