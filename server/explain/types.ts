/** What explaining is about. Explainers see windows of text and numbers; they know no model, no dictionary and no store. */

/** A stretch of text with one feature's activation at each token. */
export interface ExampleWindow {
  /** Joined they are the stretch. */
  readonly tokens: readonly string[];
  readonly activations: readonly number[];
}

/** A feature to be explained: what explanations are made from, and other windows to hold them against. */
export interface FeatureCase {
  readonly id: string;
  readonly maxActivation: number;
  /** Tokens that the feature makes likelier. */
  readonly promotes: readonly string[];
  readonly explain: { readonly active: readonly ExampleWindow[]; readonly silent: readonly ExampleWindow[] };
  readonly score: { readonly active: readonly ExampleWindow[]; readonly silent: readonly ExampleWindow[] };
}

export interface Explanation {
  /** One or two sentences, plain text. */
  readonly text: string;
  /** Words that it stands on, for a judge without a language model. */
  readonly terms: readonly string[];
}

export interface Relevance {
  readonly relevant: boolean;
  readonly polarity: "positive" | "negative" | "mixed" | "none";
  /** From 0 to 1. */
  readonly confidence: number;
  readonly why: string;
}

/** A window with some of its tokens marked. */
export interface MarkedWindow {
  readonly tokens: readonly string[];
  /** Places of the marked tokens, rising. */
  readonly marked: readonly number[];
}

/** An answer, or why there is none. */
export type Outcome<T> =
  | { readonly kind: "answer"; readonly value: T }
  | { readonly kind: "none"; readonly reason: string };

/** Judgements of some windows. */
export interface Judgements {
  /** A window each; null where the answer could not be used. */
  readonly answers: readonly (boolean | null)[];
  /** Why answers are missing, each reason once. */
  readonly reasons: readonly string[];
}

/**
 * Someone who explains features and judges explanations. What it is shown is data, whatever it says. Its methods throw `CapReachedError` when
 * they may spend no more, and what stops everything, such as a refused key; one feature's failure is an outcome.
 */
export interface Explainer {
  /** `offline`, or the model's name. */
  readonly name: string;
  explain(feature: FeatureCase): Promise<Outcome<Explanation>>;
  /** Whether the feature is active anywhere in each window, by the explanation alone. */
  detect(explanation: Explanation, windows: readonly ExampleWindow[]): Promise<Judgements>;
  /** Whether the marked tokens are those that the explanation speaks of. */
  fuzz(explanation: Explanation, windows: readonly MarkedWindow[]): Promise<Judgements>;
  /** Whether the explanation has to do with the task. */
  relevance(explanation: Explanation, task: string): Promise<Outcome<Relevance>>;
}
