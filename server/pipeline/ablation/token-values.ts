import type { Tokenizer } from "../../models/tokenizer.ts";
import type { RewardFunction } from "../../rewards/reward.ts";

/**
 * What each token is worth to a reward that rates words, [V]: for a token that is a space and a whole rated word, in any case, that word's reward; 0
 * for all others. A token without the space goes on with a word, as a rule, and what a longer word's other tokens make of it is not known
 * where it is drawn. Undefined where the reward rates no such token, as one does that judges only whole texts.
 */
export function tokenValues(
  tokenizer: Pick<Tokenizer, "vocabSize" | "specialIds" | "tokenText">,
  reward: RewardFunction,
  vocabulary: number,
): Float32Array | undefined {
  const values = new Float32Array(vocabulary);
  for (let id = 0; id < Math.min(vocabulary, tokenizer.vocabSize); id++) {
    if (tokenizer.specialIds.has(id)) continue;
    const word = wordOf(tokenizer.tokenText(id));
    if (word === undefined) continue;
    const { reward: own, tokens } = reward.score(word);
    const [first] = tokens;
    if (tokens.length === 1 && first?.start === 0 && first.end === word.length) values[id] = own;
  }
  return values.some((value) => value !== 0) ? values : undefined;
}

function wordOf(text: string): string | undefined {
  return /^ (\S+)$/u.exec(text)?.[1];
}
