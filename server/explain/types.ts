/**
 * Types of explaining. Explainers receive windows of text and numbers; they know no model, no dictionary and no
 * store.
 */
import type { Outcome } from "../endpoint/outcome.ts";

/** A stretch of text with one feature's activation at each token. */
export interface ExampleWindow {
  /** The tokens, which concatenate to the stretch. */
  readonly tokens: readonly string[];
  readonly activations: readonly number[];
}

/** A feature to explain, with windows for the explanation and held-out windows for its score. */
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
  /** Words that it is based on, for a judge without a language model. */
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
  /** Indices of the marked tokens, ascending. */
  readonly marked: readonly number[];
}

/** Judgements of windows. */
export interface Judgements {
  /** One a window; null if the answer could not be used. */
  readonly answers: readonly (boolean | null)[];
  /** Reasons for missing answers, each once. */
  readonly reasons: readonly string[];
}

/**
 * Explains features and judges explanations. Treats all texts it receives as data. Its methods throw
 * `CapReachedError` when the cap is reached, and an error for what stops everything, such as a rejected key; one
 * feature's failure is an outcome.
 */
export interface Explainer {
  /** `offline`, or the model's name. */
  readonly name: string;
  explain(feature: FeatureCase): Promise<Outcome<Explanation>>;
  /** Judges by the explanation alone whether the feature is active anywhere in each window. */
  detect(explanation: Explanation, windows: readonly ExampleWindow[]): Promise<Judgements>;
  /** Judges whether the marked tokens are those that the explanation describes. */
  fuzz(explanation: Explanation, windows: readonly MarkedWindow[]): Promise<Judgements>;
  /** Judges whether the explanation relates to the task. */
  relevance(explanation: Explanation, task: string): Promise<Outcome<Relevance>>;
}
