import type { Token } from "../../rewards/spacy-english/tokenizer.ts";

/**
 * The part of a text that may become a triple. `firstSentence` is that of the paper's code; `everySentence` gives
 * several times as many triples; `firstTokens` follows the paper's text, which rewrites whole entries.
 */
export type PassageExtent =
  | { readonly kind: "firstSentence" }
  | { readonly kind: "everySentence" }
  | { readonly kind: "firstTokens"; readonly tokens: number };

/** A word of letters, without punctuation that the tokenizer left attached: `text.slice(start, end)`. */
export interface Word {
  /** The word in lower case: its key in lexicons. */
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** A part of a text; its words' offsets count from its own beginning. */
export interface Passage {
  readonly text: string;
  readonly words: readonly Word[];
}

/** The passages of a tokenized text, in order; without white space at their ends. */
export function passagesOf(text: string, tokens: readonly Token[], extent: PassageExtent): Passage[] {
  if (extent.kind === "firstTokens") return passageOf(text, tokens.slice(0, extent.tokens));
  const passages: Passage[] = [];
  for (const sentence of sentencesOf(tokens)) {
    passages.push(...passageOf(text, sentence));
    if (extent.kind === "firstSentence" && passages.length > 0) break;
  }
  return passages;
}

/** The token's word; undefined for numbers, punctuation, emoticons, addresses. */
export function wordOf({ text, start }: Token): Word | undefined {
  const found = WORD.exec(text);
  const [, before = "", word = ""] = found ?? [];
  if (found === null) return undefined;
  const from = start + before.length;
  return { key: word.toLowerCase(), start: from, end: from + word.length };
}

/** ASCII punctuation around letters, which may have hyphens and apostrophes between them. */
const WORD = /^([!-/:-@[-`{-~]*)(\p{L}+(?:['’-]\p{L}+)*)[!-/:-@[-`{-~]*$/u;

/**
 * Splits sentences by the rule of spaCy's sentencizer: one begins at the first token after a full stop, question or
 * exclamation mark that is not punctuation itself. Unlike there, punctuation that stands apart (an opening quote)
 * begins one too, and so does the first token after a line break.
 */
function* sentencesOf(tokens: readonly Token[]): Generator<readonly Token[]> {
  let first = 0;
  let ended = false;
  let previousEnd = 0;
  for (const [index, { text, start, end }] of tokens.entries()) {
    const closes = CLOSING.test(text) || (PUNCTUATION.test(text) && start === previousEnd);
    if (ended && !closes) {
      yield tokens.slice(first, index);
      first = index;
      ended = false;
    }
    if (ENDING.test(text) || text.includes("\n")) ended = true;
    previousEnd = end;
  }
  if (first < tokens.length) yield tokens.slice(first);
}

const ENDING = /^[.!?…]+$/u;
const CLOSING = /^[.!?…\s]+$/u;
const PUNCTUATION = /^\p{P}+$/u;

/** No passage if the tokens are all white space. */
function passageOf(text: string, tokens: readonly Token[]): Passage[] {
  const solid = tokens.filter((token) => token.text.trim() !== "");
  const start = solid[0]?.start ?? 0;
  const end = solid.at(-1)?.end ?? 0;
  if (start === end) return [];
  const words = solid.flatMap((token) => wordOf({ ...token, start: token.start - start }) ?? []);
  return [{ text: text.slice(start, end), words }];
}
