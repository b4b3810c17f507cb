/** What tuning did to rated words over the texts of a run, for whoever reads another text. */
export interface LensLexicon {
  /** Mean log-ratio of the rated words, in nats: what tuning did to a rated word on the mean. */
  readonly centre: number;
  /** By lower-case form; undefined for a word that the run's texts have too rarely to say something of it. */
  word(word: string): LexiconWord | undefined;
}

export interface LexiconWord {
  readonly places: number;
  /** Mean log-ratio over its places less `centre`, in nats, with its 95 % interval where there is one. */
  readonly centred: number;
  readonly low: number | null;
  readonly high: number | null;
}
