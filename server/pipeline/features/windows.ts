/** Texts cut into tokens and windows. Tokens are numbered over all texts; the prefix of every text does not count. */

import type { Tokenizer } from "../../models/tokenizer.ts";
import type { ExampleSplit } from "../../store/writer.ts";
import type { SourceText } from "../artifacts/texts.ts";
import { encodingOf } from "../artifacts/token-ids.ts";

export interface TextWindow {
  readonly id: number;
  readonly text: number;
  /** Token numbers, `end` excluded. */
  readonly first: number;
  readonly end: number;
  readonly split: ExampleSplit;
}

export interface WindowedTexts {
  readonly texts: readonly SourceText[];
  /** Token ids of each text, up to the context length. */
  readonly ids: readonly Int32Array[];
  /** Number of each text's first token. */
  readonly starts: Uint32Array;
  readonly tokens: number;
  readonly windows: readonly TextWindow[];
  /** [tokens] */
  readonly windowOf: Uint32Array;
  /** [tokens]: the token in lower case without spaces, as a number; tokens of one word's spellings share it. */
  readonly wordOf: Uint32Array;
  /** Words, indexed by `wordOf`. */
  readonly words: readonly string[];
  /** A window's text and where its tokens end in it. */
  cut(window: TextWindow): { readonly source: string; readonly text: string; readonly ends: Uint32Array };
}

export interface WindowOptions {
  readonly tokenizer: Tokenizer;
  /** Maximum number of tokens of a text. */
  readonly contextTokens: number;
  readonly windowTokens: number;
  /** Number of tokens at which no further texts are taken. */
  readonly maxTokens: number;
  /** Tokens that stand before every text, and are no part of the windows. */
  readonly prefixIds?: readonly number[];
}

/** Cuts texts into windows. Alternate texts belong to the explanations and to their scoring. */
export function windowTexts(all: readonly SourceText[], options: WindowOptions): WindowedTexts {
  const { tokenizer, contextTokens, windowTokens, maxTokens, prefixIds = [] } = options;
  const texts: SourceText[] = [];
  const ids: Int32Array[] = [];
  const ends: Uint32Array[] = [];
  const starts: number[] = [];
  const windows: TextWindow[] = [];
  let tokens = 0;
  for (const text of all) {
    if (tokens >= maxTokens) break;
    const encoding = encodingOf(tokenizer, text, prefixIds);
    const own = encoding.ids.subarray(0, contextTokens);
    for (let first = 0; first < own.length; first += windowTokens) {
      const end = Math.min(own.length, first + windowTokens);
      const split = texts.length % 2 === 0 ? "explain" : "score";
      windows.push({ id: windows.length, text: texts.length, first: tokens + first, end: tokens + end, split });
    }
    texts.push(text);
    ids.push(own);
    ends.push(Uint32Array.from(encoding.ranges.slice(0, own.length), ({ end }) => end));
    starts.push(tokens);
    tokens += own.length;
  }
  const windowOf = new Uint32Array(tokens);
  for (const { id, first, end } of windows) windowOf.fill(id, first, end);
  return {
    texts,
    ids,
    starts: Uint32Array.from(starts),
    tokens,
    windows,
    windowOf,
    ...wordsOf(ids, tokens, tokenizer),
    cut: ({ text, first, end }) => {
      const offset = starts[text] ?? 0;
      const own = ends[text] ?? new Uint32Array();
      const from = first === offset ? 0 : (own[first - offset - 1] ?? 0);
      const stops = own.subarray(first - offset, end - offset);
      const { id: source = "", text: whole = "" } = texts[text] ?? {};
      return { source, text: whole.slice(from, stops.at(-1)), ends: stops.map((stop) => stop - from) };
    },
  };
}

function wordsOf(ids: readonly Int32Array[], tokens: number, tokenizer: Tokenizer) {
  const numbers = new Map<string, number>();
  const byId = new Map<number, number>();
  const wordOf = new Uint32Array(tokens);
  let at = 0;
  for (const own of ids)
    for (const id of own) {
      let number = byId.get(id);
      if (number === undefined) {
        const word = tokenizer.tokenText(id).trim().toLowerCase();
        number = numbers.get(word) ?? numbers.size;
        numbers.set(word, number);
        byId.set(id, number);
      }
      wordOf[at++] = number;
    }
  return { wordOf, words: [...numbers.keys()] };
}
