import type { ExampleWindow } from "./types.ts";

/** Tokens of a window count as active from this share of what the largest one has. */
const activeShare = 0.3;

/** Places of the tokens that reach `activeShare` of the window's largest activation; none in a window without any. */
export function activePlaces({ activations }: ExampleWindow): number[] {
  const max = Math.max(0, ...activations);
  return max === 0 ? [] : [...activations.keys()].filter((at) => (activations[at] ?? 0) >= activeShare * max);
}

/** A token as words are compared: lower case, without spaces around it. */
export function termOf(token: string): string {
  return token.trim().toLowerCase();
}

/**
 * The word of the text that the token at `place` is a piece of, in lower case; the token itself where it holds no letter. A token that begins
 * with a space begins a word.
 */
export function wordAt(tokens: readonly string[], place: number): string {
  const own = tokens[place] ?? "";
  if (!/[\p{L}\p{N}]/u.test(own)) return termOf(own);
  const before = tokens.slice(0, place).join("");
  const text = tokens.join("");
  const letter = before.length + own.search(/[\p{L}\p{N}]/u);
  const start = text.slice(0, letter).search(/[\p{L}\p{N}'’-]*$/u);
  const [word = ""] = /^[\p{L}\p{N}'’-]+/u.exec(text.slice(start)) ?? [];
  return word.toLowerCase();
}
