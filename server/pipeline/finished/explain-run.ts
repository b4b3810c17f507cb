/** Explains features of a finished run, offline or with a language model, and saves the explanations in its store. */

import { Random } from "../../common/random.ts";
import { checkAddress } from "../../endpoint/chat.ts";
import { checkBounds, type EndpointSettings, usualPatience } from "../../endpoint/endpoint-settings.ts";
import { costOf, Spend, type Usage } from "../../endpoint/spend.ts";
import { endpointExplainer, estimateCost } from "../../explain/endpoint-explainer.ts";
import { type ExplainedFeature, type ExplainResult, explainFeatures } from "../../explain/explain-features.ts";
import { offlineExplainer, offlineName } from "../../explain/offline.ts";
import type { Explainer } from "../../explain/types.ts";
import type { FeatureStore } from "../../store/store.ts";
import { rewardSettingsOf } from "../experiment/feedback-settings.ts";
import type { Experiment } from "../experiment/schema.ts";
import { featureCase } from "../features/cases.ts";
import { ratingsOf } from "../feedback.ts";

export interface ExplainRunOptions {
  readonly store: FeatureStore;
  readonly experiment: Experiment;
  /** Null: the `perLayer` most similar features of each layer, by similarity of the two sizes. */
  readonly ids: readonly string[] | null;
  readonly perLayer: number;
  /** Whether to include features that this explainer has explained already. */
  readonly again: boolean;
  /** The language model that explains; null: the offline explainer. */
  readonly endpoint: EndpointSettings | null;
}

export interface ExplainPreview {
  readonly features: number;
  /** Features that this explainer has explained already, which are skipped. */
  readonly cached: number;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Null when prices are not known; 0 for the offline explainer. */
  readonly costUsd: number | null;
  /** Origin of the server that would receive text. */
  readonly origin: string | null;
}

/** Estimates the cost without sending anything. Throws `NoFeatureError` and `EndpointError`. */
export function previewExplain(options: ExplainRunOptions): ExplainPreview {
  const { store, endpoint } = options;
  const { ids, cached } = toExplain(options);
  if (endpoint === null)
    return { features: ids.length, cached, requests: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, origin: null };
  const estimate = estimateCost(ids.map((id) => featureCase(store, id)));
  return {
    features: ids.length,
    cached,
    ...estimate,
    costUsd: costOf(estimate, endpoint.prices),
    origin: checkAddress(endpoint),
  };
}

export interface ExplainRunResult extends ExplainResult {
  readonly used: Usage;
  readonly spentUsd: number | null;
}

export interface ExplainRunHooks {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
  readonly concurrency?: number;
  /** Limit for one whole answer. */
  readonly timeoutMs?: number;
  /** For tests. */
  readonly sleep?: (ms: number) => Promise<void>;
}

/**
 * Explains features and scores the explanations. Saves each feature as soon as it is done, and caches answers by
 * request, so that the same call resumes where it stopped. Throws `EndpointError`, `NoFeatureError`,
 * `ReadOnlyStoreError`, and the signal's reason.
 */
export async function explainRun(options: ExplainRunOptions, hooks: ExplainRunHooks = {}): Promise<ExplainRunResult> {
  const { store, endpoint, experiment } = options;
  const { signal, onProgress, concurrency = 4 } = hooks;
  store.requireWritable();
  const { ids } = toExplain(options);
  const spend = new Spend(endpoint ?? { maxTokens: null, maxUsd: null, prices: null });
  const explainer = explainerFor(options, hooks, spend);
  const result = await explainFeatures(
    ids.map((id) => featureCase(store, id)),
    {
      explainer,
      task: store.meta("task") ?? experiment.task,
      seed: experiment.seed,
      concurrency: endpoint === null ? 1 : concurrency,
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
      onExplained: (explained) => keep(store, explained),
    },
  );
  return { ...result, used: spend.used, spentUsd: endpoint === null ? 0 : spend.usd };
}

function explainerFor(
  { store, experiment, endpoint }: ExplainRunOptions,
  { signal, timeoutMs = 120_000, sleep }: ExplainRunHooks,
  spend: Spend,
): Explainer {
  if (endpoint === null) {
    const wordValues = ratingsOf(rewardSettingsOf(experiment))?.values ?? new Map();
    return offlineExplainer({ wordValues, background: store.windows(1000) });
  }
  checkBounds(endpoint);
  return endpointExplainer({
    endpoint: { baseUrl: endpoint.baseUrl, model: endpoint.model, apiKey: endpoint.apiKey },
    spend,
    cache: { get: (key) => store.answer(key), set: (key, answer) => store.keepAnswer(key, answer) },
    patience: usualPatience(Random.fromSeed(experiment.seed).fork("waits"), sleep),
    timeoutMs,
    ...(endpoint.thinkingTokens === undefined ? {} : { thinkingTokens: endpoint.thinkingTokens }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function toExplain({ store, ids, perLayer, again, endpoint }: ExplainRunOptions): { ids: string[]; cached: number } {
  const asked = [...new Set(ids ?? store.mostSimilar(perLayer))];
  const name = endpoint?.model ?? offlineName;
  for (const id of asked) store.need(id);
  const left = again
    ? asked
    : asked.filter((id) => !store.explanations(id).some(({ explainer }) => explainer === name));
  return { ids: left, cached: asked.length - left.length };
}

function keep(store: FeatureStore, { id, explainer, explanation, scores, relevance }: ExplainedFeature): void {
  const { text, terms } = explanation;
  store.addExplanations(
    [{ id, explanation: { explainer, text, terms: [...terms], scores: [...scores], relevance } }],
    false,
  );
}
