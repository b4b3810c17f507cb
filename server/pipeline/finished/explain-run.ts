/** Explains features of a finished run, offline or with a language model, and saves the explanations in its store. */

import { Random } from "../../common/random.ts";
import { checkAddress } from "../../endpoint/address.ts";
import type { AnswerCache } from "../../endpoint/chat.ts";
import { EditorModel, type EditorModelOptions } from "../../endpoint/editor-model.ts";
import { checkBounds, type EndpointSettings, usualPatience } from "../../endpoint/endpoint-settings.ts";
import { costOf, Spend, type Usage } from "../../endpoint/spend.ts";
import { endpointExplainer, estimateCost, modelExplainer } from "../../explain/endpoint-explainer.ts";
import { type ExplainedFeature, type ExplainResult, explainFeatures } from "../../explain/explain-features.ts";
import { offlineExplainer, offlineName } from "../../explain/offline.ts";
import type { Explainer } from "../../explain/types.ts";
import type { StoredExplanation } from "../../store/read.ts";
import type { FeatureStore } from "../../store/store.ts";
import { rewardSettingsOf } from "../experiment/feedback-settings.ts";
import type { Experiment } from "../experiment/schema.ts";
import { featureCase } from "../features/cases.ts";
import { ratingsOf } from "../feedback.ts";
import { KeptAnswers } from "./kept-answers.ts";

/** A language model that the editor reaches. */
export type EditorSettings = Pick<EditorModelOptions, "name" | "complete">;

/** Who explains: nobody but this program, a model behind an address, or one of the editor's. */
export type ExplainBy =
  | { readonly kind: "offline" }
  | { readonly kind: "endpoint"; readonly endpoint: EndpointSettings }
  | { readonly kind: "editor"; readonly editor: EditorSettings };

export interface ExplainRunOptions {
  readonly store: FeatureStore;
  readonly experiment: Experiment;
  /**
   * Null: those that move the readings most, and the `perLayer` most similar features of each layer, by similarity of
   * the two sizes.
   */
  readonly ids: readonly string[] | null;
  readonly perLayer: number;
  /** Whether to include features that this explainer has explained already. */
  readonly again: boolean;
  readonly by: ExplainBy;
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
  const { store, by } = options;
  const { ids, cached } = toExplain(options);
  if (by.kind === "offline")
    return { features: ids.length, cached, requests: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, origin: null };
  const estimate = estimateCost(ids.map((id) => featureCase(store, id)));
  return {
    features: ids.length,
    cached,
    ...estimate,
    costUsd: by.kind === "editor" ? null : costOf(estimate, by.endpoint.prices),
    origin: by.kind === "editor" ? null : checkAddress(by.endpoint),
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
 * Explains features and scores the explanations. Saves each explanation as soon as it is there, then its scores, and
 * caches answers by request, so that the same call resumes where it stopped; on a network file system several at a
 * time, and the rest at the end, however it ends. Throws `EndpointError`, `NoFeatureError`,
 * `ReadOnlyStoreError`, and the signal's reason.
 */
export async function explainRun(options: ExplainRunOptions, hooks: ExplainRunHooks = {}): Promise<ExplainRunResult> {
  const { store, by, experiment } = options;
  const { signal, onProgress, concurrency = 4 } = hooks;
  store.requireWritable();
  const { ids } = toExplain(options);
  const spend = new Spend(by.kind === "endpoint" ? by.endpoint : { maxTokens: null, maxUsd: null, prices: null });
  const kept = new KeptAnswers(store);
  const explainer = explainerBy(by, kept, options, hooks, spend);
  try {
    const result = await explainFeatures(
      ids.map((id) => featureCase(store, id)),
      {
        explainer,
        task: store.meta("task") ?? experiment.task,
        seed: experiment.seed,
        concurrency: by.kind === "offline" ? 1 : concurrency,
        ...(signal === undefined ? {} : { signal }),
        ...(onProgress === undefined ? {} : { onProgress }),
        onDraft: (draft) => {
          // An earlier explanation with its scores stays until the new one has its own.
          if (!store.explanations(draft.id).some(({ explainer }) => explainer === draft.explainer))
            kept.write(() => keep(store, { ...draft, scores: [], relevance: null }));
        },
        onExplained: (explained) => kept.write(() => keep(store, explained)),
      },
    );
    return { ...result, used: spend.used, spentUsd: by.kind === "offline" ? 0 : spend.usd };
  } finally {
    kept.flush();
  }
}

type Explainers = { readonly [K in ExplainBy["kind"]]: Extract<ExplainBy, { kind: K }> };
type MakeExplainer<K extends ExplainBy["kind"]> = (
  by: Explainers[K],
  cache: AnswerCache,
  options: ExplainRunOptions,
  hooks: ExplainRunHooks,
  spend: Spend,
) => Explainer;

const explainers: { readonly [K in ExplainBy["kind"]]: MakeExplainer<K> } = {
  offline: (_, _cache, { store, experiment }) => {
    const wordValues = ratingsOf(rewardSettingsOf(experiment))?.values ?? new Map();
    return offlineExplainer({ wordValues, background: store.windows(1000) });
  },
  endpoint: ({ endpoint }, cache, { experiment }, { signal, timeoutMs = 120_000, sleep }, spend) => {
    checkBounds(endpoint);
    return endpointExplainer({
      endpoint: { baseUrl: endpoint.baseUrl, model: endpoint.model, apiKey: endpoint.apiKey },
      spend,
      cache,
      patience: usualPatience(Random.fromSeed(experiment.seed).fork("waits"), sleep),
      timeoutMs,
      ...(endpoint.thinkingTokens === undefined ? {} : { thinkingTokens: endpoint.thinkingTokens }),
      ...(signal === undefined ? {} : { signal }),
    });
  },
  editor: ({ editor: { name, complete } }, cache, _, { signal }) =>
    modelExplainer(name, new EditorModel({ name, complete, cache, ...(signal === undefined ? {} : { signal }) })),
};

function explainerBy<K extends ExplainBy["kind"]>(
  by: { readonly kind: K } & Explainers[K],
  cache: AnswerCache,
  options: ExplainRunOptions,
  hooks: ExplainRunHooks,
  spend: Spend,
): Explainer {
  return explainers[by.kind](by, cache, options, hooks, spend);
}

/** The name under which explanations are kept. */
function nameOf(by: ExplainBy): string {
  return by.kind === "offline" ? offlineName : by.kind === "endpoint" ? by.endpoint.model : by.editor.name;
}

function toExplain({ store, ids, perLayer, again, by }: ExplainRunOptions): { ids: string[]; cached: number } {
  const asked = [...new Set(ids ?? [...store.mostMoving(MOST_MOVING), ...store.mostSimilar(perLayer)])];
  const name = nameOf(by);
  for (const id of asked) store.need(id);
  const left = again
    ? asked
    : asked.filter((id) => !store.explanations(id).some((one) => one.explainer === name && isFinished(one)));
  return { ids: left, cached: asked.length - left.length };
}

/** Number of features that are explained because they move a reading, by each of two measures. */
const MOST_MOVING = 40;

/** Whether an explanation was judged at all; one of a job that was stopped is not, and is judged by the next. */
function isFinished({ scores, relevance }: Pick<StoredExplanation, "scores" | "relevance">): boolean {
  return scores.length > 0 || relevance !== null;
}

function keep(
  store: FeatureStore,
  { id, explainer, explanation, scores, relevance }: Omit<ExplainedFeature, "lost">,
): void {
  const { text, terms } = explanation;
  store.addExplanations(
    [{ id, explanation: { explainer, text, terms: [...terms], scores: [...scores], relevance } }],
    false,
  );
}
