/** A token and what it added: `text.slice(start, end)` is the token, in UTF-16 units. */
export interface ScoredToken {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** The reward source's own rating of the token, before scaling; the sign is that of the reward. */
  readonly valence: number;
}

/** A text's reward and the tokens it came from. */
export interface ScoredText {
  /** What the policy is trained on, after scaling and clamping. */
  readonly reward: number;
  /** The tokens that contributed, in order; empty for a source that judges only whole texts. */
  readonly tokens: readonly ScoredToken[];
}

/** A source of feedback. Pure: equal texts get equal scores. */
export interface RewardFunction {
  /** Names the source and its variant in run records, such as "vader/head". */
  readonly name: string;
  score(text: string): ScoredText;
}
