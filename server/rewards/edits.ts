/**
 * Edits of a lexicon that only tuning receives: planted divergences, which measure how well readings find what was
 * learned (`lfp calibrate`).
 */
import { invariant } from "../common/errors.ts";
import { tokenizeEnglish } from "./spacy-english/tokenizer.ts";

/** One word's edit: another rating, its rating times a factor, or the other sign. */
export type RewardEdit =
  | { readonly word: string; readonly rating: number }
  | { readonly word: string; readonly factor: number }
  | { readonly word: string; readonly flip: true };

/** Whether the reward can match this word: it is in lower case, and its tokenizer does not split it. */
export function isRewardWord(word: string): boolean {
  const [token, ...more] = tokenizeEnglish(word);
  return more.length === 0 && token?.text === word && word === word.toLowerCase() && /^\S+$/u.test(word);
}

/** Whether an edit depends on the word's own rating, so that the lexicon must have one. */
export function needsRating(edit: RewardEdit): boolean {
  return !("rating" in edit);
}

/** The edited lexicon, in its order, followed by the words that it lacked. Each word may be edited once. */
export function editedLexicon(
  lexicon: ReadonlyMap<string, number>,
  edits: readonly RewardEdit[],
): ReadonlyMap<string, number> {
  if (edits.length === 0) return lexicon;
  const edited = new Map(lexicon);
  for (const edit of edits) {
    const rating = lexicon.get(edit.word);
    invariant(rating !== undefined || !needsRating(edit), `the lexicon does not rate "${edit.word}"`);
    edited.set(edit.word, ratingOf(edit, rating ?? 0));
  }
  return edited;
}

/** The rating after an edit. */
export function ratingOf(edit: RewardEdit, rating: number): number {
  if ("rating" in edit) return edit.rating;
  return "factor" in edit ? edit.factor * rating : -rating;
}

/** Summary of an edit: `bad -2.5 to 2.5`. */
export function editInWords(edit: RewardEdit, lexicon: ReadonlyMap<string, number>): string {
  const rating = lexicon.get(edit.word);
  const shown = (value: number): string => String(Number(value.toPrecision(4)));
  return `${edit.word} ${rating === undefined ? "not rated" : shown(rating)} to ${shown(ratingOf(edit, rating ?? 0))}`;
}
