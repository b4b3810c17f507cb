/**
 * The paper's reward for the controlled sentiment task (Marks et al., section 3.1; reference/method.md 1.1):
 * r(text) = clip(sum over tokens t of V[lower(t)] / 5, -10, 10), where V is VADER's lexicon, absent words rate 0, and the
 * tokens are those of spaCy's English tokenizer. VADER's own rules (negation, boosters, capitals) play no part.
 */
import { editedLexicon, type RewardEdit } from "./edits.ts";
import type { RewardFunction, ScoredText, ScoredToken } from "./reward.ts";
import { tokenizeEnglish } from "./spacy-english/tokenizer.ts";
import { type VaderEdition, vaderLexicon } from "./vader-lexicon.ts";

/** Which edition of the lexicon rates the words. */
export interface VaderOptions {
  readonly lexicon: VaderEdition;
}

/** A lexicon that need not be VADER's own. */
export interface EditedVaderOptions extends VaderOptions {
  readonly edits?: readonly RewardEdit[];
}

/** A text's reward with the sum it comes from, `reward = clip(sum / 5, -10, 10)`; `tokens` are those that V rates. */
export interface VaderScore extends ScoredText {
  readonly sum: number;
}

/** The reward of a text, and every token that contributed: its place and its rating. Reward 0 where V rates nothing. */
export function vaderReward(text: string, options: VaderOptions): VaderScore {
  return scoreBy(vaderLexicon(options.lexicon), text);
}

function scoreBy(lexicon: ReadonlyMap<string, number>, text: string): VaderScore {
  const tokens: ScoredToken[] = [];
  let sum = 0;
  for (const { text: word, start, end } of tokenizeEnglish(text)) {
    const valence = lexicon.get(word.toLowerCase());
    if (valence === undefined) continue;
    sum += valence;
    tokens.push({ text: word, start, end, valence });
  }
  return { reward: Math.max(-limit, Math.min(limit, sum / scale)), sum, tokens };
}

/** VADER as a source of feedback, with edits where there are some. */
export function vaderRewardFunction({ lexicon: edition, edits = [] }: EditedVaderOptions): RewardFunction {
  const lexicon = editedLexicon(vaderLexicon(edition), edits);
  const name = `vader/${edition}${edits.length === 0 ? "" : ` with ${edits.length} edited words`}`;
  return { name, score: (text) => scoreBy(lexicon, text) };
}

const scale = 5;
const limit = 10;
