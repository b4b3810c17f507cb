import { tokenizeEnglish } from "../../rewards/spacy-english/tokenizer.ts";
import { wordOf } from "./passages.ts";

/** Count of each word, by its lower-case form; words as in triples. */
export function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const token of tokenizeEnglish(text)) {
      const word = wordOf(token);
      if (word !== undefined) counts.set(word.key, (counts.get(word.key) ?? 0) + 1);
    }
  }
  return counts;
}
