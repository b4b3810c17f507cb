import type { Token } from "../../rewards/spacy-english/tokenizer.ts";

/**
 * What of a text may become a triple. `firstSentence` is what the paper's code uses; `everySentence` gives several times as
 * many triples; `firstTokens` is the paper's text, in which whole entries are rewritten.
 */
export type PassageExtent =
  | { readonly kind: "firstSentence" }
  | { readonly kind: "everySentence" }
  | { readonly kind: "firstTokens"; readonly tokens: number };

/** A word of letters, without the punctuation that the tokenizer leaves on some: `text.slice(start, end)`. */
export interface Word {
  /** Lower-cased: how lexicons name it. */
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** A stretch of a text; its words' places count from its own beginning. */
export interface Passage {
  readonly text: string;
  readonly words: readonly Word[];
}

/** The passages of a text that was cut into these tokens, in order; without white space at their ends. */
export function passagesOf(text: string, tokens: readonly Token[], extent: PassageExtent): Passage[] {
  if (extent.kind === "firstTokens") return passageOf(text, tokens.slice(0, extent.tokens));
  const passages: Passage[] = [];
  for (const sentence of sentencesOf(tokens)) {
    passages.push(...passageOf(text, sentence));
    if (extent.kind === "firstSentence" && passages.length > 0) break;
  }
  return passages;
}

/** The token's word, or undefined for numbers, punctuation, emoticons, addresses. */
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
 * Sentences by rule, as spaCy's sentencizer finds them: one begins at the first token after a full stop, question or
 * exclamation mark that is not punctuation itself. Unlike there, punctuation that stands apart (an opening quote) begins one
 * too, and so does what comes after a line break.
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

/** No passage where the tokens hold nothing but white space. */
function passageOf(text: string, tokens: readonly Token[]): Passage[] {
  const solid = tokens.filter((token) => token.text.trim() !== "");
  const start = solid[0]?.start ?? 0;
  const end = solid.at(-1)?.end ?? 0;
  if (start === end) return [];
  const words = solid.flatMap((token) => wordOf({ ...token, start: token.start - start }) ?? []);
  return [{ text: text.slice(start, end), words }];
}
