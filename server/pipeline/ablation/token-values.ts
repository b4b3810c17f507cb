import type { Tokenizer } from "../../models/tokenizer.ts";
import { type Reward, scoresOf } from "../../rewards/reward.ts";
import type { WordRatings } from "../../rewards/word-ratings.ts";

/**
 * The reward of each token, [V]: for a token that is a space and a whole rated word, in any case, that word's reward; 0
 * for all others. A token without the space usually continues a word, and the effect of a longer word's later tokens is
 * unknown when it is sampled. Undefined if no such token has a rating.
 */
export async function tokenValues(
  tokenizer: Pick<Tokenizer, "vocabSize" | "specialIds" | "tokenText">,
  { reward, ratings }: { readonly reward: Reward; readonly ratings: WordRatings },
  vocabulary: number,
  signal?: AbortSignal,
): Promise<Float32Array | undefined> {
  const values = new Float32Array(vocabulary);
  const rated: { readonly id: number; readonly word: string }[] = [];
  for (let id = 0; id < Math.min(vocabulary, tokenizer.vocabSize); id++) {
    if (tokenizer.specialIds.has(id)) continue;
    const word = wordOf(tokenizer.tokenText(id));
    if (word === undefined) continue;
    const [first, ...more] = ratings.rated(word);
    if (more.length === 0 && first?.start === 0 && first.end === word.length) rated.push({ id, word });
  }
  const words = rated.map(({ word }) => ({ prompt: "", completion: word }));
  const scores = await scoresOf(reward, words, signal);
  for (const [at, { id }] of rated.entries()) values[id] = scores[at] ?? 0;
  return values.some((value) => value !== 0) ? values : undefined;
}

function wordOf(text: string): string | undefined {
  return /^ (\S+)$/u.exec(text)?.[1];
}
