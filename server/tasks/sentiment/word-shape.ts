/** Grammatical features of a word, as far as its spelling shows them. */

export type LetterCase = "lower" | "capitalised" | "upper";

export function letterCaseOf(written: string): LetterCase {
  const lower = written.toLowerCase();
  if (written === lower) return "lower";
  return written.length > 1 && written === written.toUpperCase() ? "upper" : "capitalised";
}

/** A lower-case word, converted to this case. */
export function inCase(word: string, letterCase: LetterCase): string {
  if (letterCase === "lower") return word;
  if (letterCase === "upper") return word.toUpperCase();
  const [first = ""] = word;
  return first.toUpperCase() + word.slice(first.length);
}

/** The inflection that a word's last letters suggest: enough to keep "-ly" with "-ly" and plurals with plurals. */
export function endingOf(word: string): string {
  return ENDING.exec(word)?.[0] ?? "";
}

/** Whether "an" goes before it, going by its first letter. */
export function startsWithVowel(word: string): boolean {
  return /^[aeiou]/u.test(word);
}

const ENDING = /(?:ly|ing|ed|est|ness|(?<=[^su])s)$/u;
