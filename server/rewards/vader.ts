/**
 * The paper's reward for the controlled sentiment task (Marks et al., section 3.1; reference/method.md 1.1):
 * r(text) = clip(sum over tokens t of V[lower(t)] / 5, -10, 10), where V is VADER's lexicon, absent words rate 0, and the
 * tokens are those of spaCy's English tokenizer. VADER's own rules (negation, boosters, capitals) play no part.
 */
import { editedLexicon, type RewardEdit } from "./edits.ts";
import { type JudgedText, plainReward, type Reward } from "./reward.ts";
import { tokenizeEnglish } from "./spacy-english/tokenizer.ts";
import { type VaderEdition, vaderLexicon } from "./vader-lexicon.ts";
import type { ScoredToken, WordRatings } from "./word-ratings.ts";

/** Edition of the lexicon that rates the words. */
export interface VaderOptions {
  readonly lexicon: VaderEdition;
}

/** The same with edits of ratings, which only tuning receives. */
interface EditedVaderOptions extends VaderOptions {
  readonly edits?: readonly RewardEdit[];
}

/** A text's reward `clip(sum / 5, -10, 10)`, the sum, and the tokens that V rates, in order. */
export interface VaderScore {
  readonly reward: number;
  readonly sum: number;
  readonly tokens: readonly ScoredToken[];
}

/** The reward of a text, and every token that contributed: its place and its rating. Reward 0 where V rates nothing. */
export function vaderScore(text: string, options: VaderOptions): VaderScore {
  return scoreBy(vaderLexicon(options.lexicon), text);
}

/** VADER as a source of feedback, with its edits. */
export function vaderReward({ lexicon: edition, edits = [] }: EditedVaderOptions, text: JudgedText): Reward {
  const lexicon = editedLexicon(vaderLexicon(edition), edits);
  const name = `vader/${edition}${edits.length === 0 ? "" : ` with ${edits.length} edited words`}`;
  return plainReward(name, text, (judged) => scoreBy(lexicon, judged).reward);
}

/** VADER's ratings of words, without edits. */
export function vaderRatings({ lexicon: edition }: VaderOptions): WordRatings {
  const values = vaderLexicon(edition);
  return {
    lexicon: edition,
    values,
    range: vaderRange,
    typicalSize: 3,
    // The paper's Table 7.
    highReward: 3,
    rated: (text) => ratedTokens(values, text),
  };
}

const editions: Readonly<Record<VaderEdition, string>> = {
  head: "lexicon of its repository, 2020",
  nltk2016: "lexicon of 2016, as NLTK has it",
};

export function vaderInWords({ lexicon }: VaderOptions): string {
  return `VADER (${editions[lexicon]})`;
}

/** The least and the greatest rating in the two editions. */
const vaderRange = { low: -3.9, high: 3.4 } as const;
const scale = 5;
const limit = 10;

function scoreBy(lexicon: ReadonlyMap<string, number>, text: string): VaderScore {
  const tokens = ratedTokens(lexicon, text);
  const sum = tokens.reduce((total, { valence }) => total + valence, 0);
  return { reward: Math.max(-limit, Math.min(limit, sum / scale)), sum, tokens };
}

function ratedTokens(lexicon: ReadonlyMap<string, number>, text: string): ScoredToken[] {
  const tokens: ScoredToken[] = [];
  for (const { text: word, start, end } of tokenizeEnglish(text)) {
    const valence = lexicon.get(word.toLowerCase());
    if (valence !== undefined) tokens.push({ text: word, start, end, valence });
  }
  return tokens;
}
