/**
 * Words that tell chosen answers from rejected ones: what stands in for a feedback's ratings of words where the feedback
 * is pairs. Log-odds ratios with a flat prior and their z (Monroe, Colaresi and Quinn 2008, equations 16 to 22,
 * https://doi.org/10.1093/pan/mpn018).
 */
import { tokenizeEnglish } from "../../rewards/spacy-english/tokenizer.ts";

/** Pseudo-count of every word in each of the two sides. */
const prior = 0.5;
/** The size of z from which on a word counts as preferred or not. */
export const preferredFrom = 3;

/**
 * z of each word, by its lower-case form, where its size is at least `preferredFrom`: above 0 for words of chosen
 * answers. A word counts once in an answer, so that one answer that repeats it does not decide.
 */
export function preferredWords(
  pairs: Iterable<{ readonly chosen: string; readonly rejected: string }>,
): ReadonlyMap<string, number> {
  const chosen = new Map<string, number>();
  const rejected = new Map<string, number>();
  let answers = 0;
  for (const pair of pairs) {
    answers += 1;
    for (const word of wordsOf(pair.chosen)) chosen.set(word, (chosen.get(word) ?? 0) + 1);
    for (const word of wordsOf(pair.rejected)) rejected.set(word, (rejected.get(word) ?? 0) + 1);
  }
  const found = new Map<string, number>();
  for (const word of new Set([...chosen.keys(), ...rejected.keys()])) {
    const z = zOf(chosen.get(word) ?? 0, rejected.get(word) ?? 0, answers);
    if (Math.abs(z) >= preferredFrom) found.set(word, z);
  }
  return found;
}

/** z of the log-odds ratio of being in one of `n` answers of each side. */
function zOf(inChosen: number, inRejected: number, n: number): number {
  const odds = (count: number): number => Math.log((count + prior) / (n - count + prior));
  const variance = (count: number): number => 1 / (count + prior) + 1 / (n - count + prior);
  return (odds(inChosen) - odds(inRejected)) / Math.sqrt(variance(inChosen) + variance(inRejected));
}

function wordsOf(text: string): Set<string> {
  const words = tokenizeEnglish(text).map((token) => token.text.toLowerCase());
  return new Set(words.filter((word) => /^\p{L}[\p{L}\p{M}'’-]*$/u.test(word)));
}
