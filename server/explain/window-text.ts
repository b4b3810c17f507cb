import type { ExampleWindow } from "./types.ts";

/** Threshold of activity: a token is active from this share of the window's largest activation on. */
const activeShare = 0.3;

/**
 * Indices of the tokens that reach `activeShare` of the window's largest activation; empty if the feature is
 * inactive in the window.
 */
export function activePlaces({ activations }: ExampleWindow): number[] {
  const max = Math.max(0, ...activations);
  return max === 0 ? [] : [...activations.keys()].filter((at) => (activations[at] ?? 0) >= activeShare * max);
}

/** A token in the form in which words are compared: lower case, without surrounding spaces. */
export function termOf(token: string): string {
  return token.trim().toLowerCase();
}

/**
 * The word of the text that contains the token at `place`, in lower case; the token itself if it has no letter. A
 * token that begins with a space begins a word.
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
