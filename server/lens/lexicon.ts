/** How tuning changed the predictions of rated words over a run's texts, for display at other texts. */
export interface LensLexicon {
  /** Mean log-ratio over the rated words, in nats. */
  readonly centre: number;
  /** By lower-case form; undefined for a word that is too rare in the run's texts. */
  word(word: string): LexiconWord | undefined;
}

export interface LexiconWord {
  readonly places: number;
  /** Mean log-ratio over its places minus `centre`, in nats, with its 95 % interval if there is one. */
  readonly centred: number;
  readonly low: number | null;
  readonly high: number | null;
}
