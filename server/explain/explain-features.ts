/** Explains many features and scores the explanations, several at a time, until all are done or the cap is reached. */
import { Random } from "../common/random.ts";
import { inTurns } from "../endpoint/in-turns.ts";
import { inertLine } from "../endpoint/plain-text.ts";
import { type Lost, type Score, scoreExplanation } from "./score.ts";
import type { Explainer, Explanation, FeatureCase, Relevance } from "./types.ts";

export interface ExplainOptions {
  readonly explainer: Explainer;
  /** Description of what the feedback is about. */
  readonly task: string;
  readonly seed: number;
  /** Number of features processed concurrently. */
  readonly concurrency: number;
  readonly signal?: AbortSignal;
  /** Called with each explanation before it is scored, which takes longer; what it saves survives later failures. */
  readonly onDraft?: (draft: DraftedFeature) => void | Promise<void>;
  /** Called with each feature as it is done; what it saves survives later failures. */
  readonly onExplained?: (explained: ExplainedFeature) => void | Promise<void>;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A feature with an explanation that is not scored yet. */
export interface DraftedFeature {
  readonly id: string;
  readonly explainer: string;
  readonly explanation: Explanation;
}

export interface ExplainedFeature extends DraftedFeature {
  readonly scores: readonly Score[];
  readonly relevance: Relevance | null;
  /** Judgements that are missing, with the reasons. */
  readonly lost: readonly Lost[];
}

export interface ExplainResult {
  readonly explained: readonly ExplainedFeature[];
  /** Features without an explanation, with the reason. */
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
  /** Whether features were left out because the cap was reached. */
  readonly stoppedAtCap: boolean;
}

/** Longest stored explanation, in characters. */
const explanationLength = 300;

/**
 * Explains all features, then scores all: an explanation's control is another feature's. Throws what the explainer
 * throws, except at its cap.
 */
export async function explainFeatures(
  features: readonly FeatureCase[],
  options: ExplainOptions,
): Promise<ExplainResult> {
  const { explainer, onProgress, onDraft, onExplained } = options;
  const failed: { id: string; reason: string }[] = [];
  const explanations = new Map<FeatureCase, Explanation>();
  const total = 2 * features.length;
  let done = 0;
  const advance = (count = 1): void => {
    done += count;
    onProgress?.(done, total);
  };
  const firstCap = await inTurns(features, options, async (feature) => {
    const outcome = await explainer.explain(feature);
    if (outcome.kind === "none") failed.push({ id: feature.id, reason: outcome.reason });
    else {
      const { text, terms } = outcome.value;
      const explanation = { text: inertLine(text, explanationLength), terms };
      explanations.set(feature, explanation);
      await onDraft?.({ id: feature.id, explainer: explainer.name, explanation });
    }
    advance();
  });
  const toScore = features.filter((feature) => explanations.has(feature));
  advance(features.length - toScore.length);
  const explained: ExplainedFeature[] = [];
  const secondCap = await inTurns(toScore, options, async (feature) => {
    const explanation = explanations.get(feature);
    if (explanation === undefined) return;
    const found = await judge(feature, explanation, otherThan(feature, toScore, explanations), options);
    explained.push(found);
    await onExplained?.(found);
    advance();
  });
  const inOrder = new Map(features.map(({ id }, at) => [id, at]));
  const byOrder = (a: { id: string }, b: { id: string }): number => (inOrder.get(a.id) ?? 0) - (inOrder.get(b.id) ?? 0);
  return { explained: explained.sort(byOrder), failed: failed.sort(byOrder), stoppedAtCap: firstCap || secondCap };
}

async function judge(
  feature: FeatureCase,
  explanation: Explanation,
  other: Explanation | undefined,
  { explainer, task, seed }: ExplainOptions,
): Promise<ExplainedFeature> {
  const random = Random.fromSeed(seed).fork(feature.id);
  const { scores, lost } = await scoreExplanation(explainer, explanation, feature, { other, random });
  const relevance = await explainer.relevance(explanation, task);
  return {
    id: feature.id,
    explainer: explainer.name,
    explanation,
    scores,
    lost:
      relevance.kind === "answer" ? lost : [...lost, { what: "relevance", judgements: 1, reason: relevance.reason }],
    relevance:
      relevance.kind === "none" ? null : { ...relevance.value, why: inertLine(relevance.value.why, explanationLength) },
  };
}

/** The explanation of the feature half a list away; deterministic for a given list. */
function otherThan(
  feature: FeatureCase,
  all: readonly FeatureCase[],
  explanations: ReadonlyMap<FeatureCase, Explanation>,
): Explanation | undefined {
  const other = all[(all.indexOf(feature) + Math.max(1, Math.floor(all.length / 2))) % all.length];
  return other === undefined || other === feature ? undefined : explanations.get(other);
}
