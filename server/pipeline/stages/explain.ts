import { join } from "node:path";
import { type ExplainResult, explainFeatures } from "../../explain/explain-features.ts";
import { offlineExplainer } from "../../explain/offline.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { FeatureStore } from "../../store/store.ts";
import { preferredWords } from "../../tasks/pairs/preferred-words.ts";
import type { PairTask } from "../../tasks/tasks.ts";
import { type Explanations, explanationsFile, explanationsSchema } from "../artifacts/explanations.ts";
import { featuresFile } from "../artifacts/features.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { readPairs, tuningPairs } from "../artifacts/pairs.ts";
import { featureCase } from "../features/cases.ts";
import { ratingsOf, type TaskSettings } from "../feedback.ts";

interface FeatureSettings {
  /** Number of features of each layer, in descending order of similarity of the two sizes. */
  readonly perLayer: number;
  readonly seed: number;
}

export interface ExplainSettings extends TaskSettings, FeatureSettings {}

export interface ExplainPairsSettings extends FeatureSettings {
  readonly task: PairTask;
}

type Context = StageContext<FeatureSettings & { readonly task: string }, "examples">;

/**
 * Explains the features that both sizes found, of the tuned and of the base model, without a language model, and scores
 * the explanations.
 */
export const explainStage: Stage<ExplainSettings, "examples"> = {
  name: "explain",
  codeVersion: 3,
  run: (context) => explainBoth(context, ratingsOf(context.settings.reward)?.values ?? new Map()),
};

/** The same for a run on pairs, where words that tell chosen answers from rejected ones stand in for rated ones. */
export const explainPairsStage: Stage<ExplainPairsSettings, "examples" | "texts"> = {
  name: "explain-pairs",
  codeVersion: 1,
  run: async (context) =>
    await explainBoth(context, preferredWords(await readPairs(context.input("texts"), tuningPairs))),
};

async function explainBoth(context: Context, wordValues: ReadonlyMap<string, number>): Promise<void> {
  const { settings, input, output } = context;
  using store = FeatureStore.openOutput(join(input("examples"), featuresFile));
  const task = store.meta("task") ?? settings.task;
  const [ids, baseIds] = [store.mostSimilar(settings.perLayer), store.mostSimilar(settings.perLayer, "base")];
  const explainer = offlineExplainer({ wordValues, background: store.windows(1000) });
  // Explain each list separately: the control of an explanation is another one of its list.
  const explain = (some: readonly string[], before: number) =>
    explainFeatures(
      some.map((id) => featureCase(store, id)),
      { explainer, task, ...waysOf(context, before, ids.length + baseIds.length) },
    );
  const tuned = await explain(ids, 0);
  const base = await explain(baseIds, ids.length);
  const found: Explanations = {
    explainer: explainer.name,
    task,
    features: rowsOf(tuned),
    base: rowsOf(base),
    failed: [...tuned.failed, ...base.failed],
  };
  await writeJson(output, explanationsFile, explanationsSchema.parse(found));
}

/** Options of an explanation run: one feature at a time; progress counts both lists, two steps per feature. */
function waysOf({ settings, progress, stepDone }: Context, featuresBefore: number, allFeatures: number) {
  return {
    seed: settings.seed,
    concurrency: 1,
    onProgress: (done: number) => progress(2 * featuresBefore + done, 2 * allFeatures, "steps"),
    onExplained: () => stepDone(() => ({ state: {} })),
  };
}

function rowsOf({ explained }: ExplainResult): Explanations["features"] {
  return explained.map(({ id, explanation, scores, relevance }) => ({
    id,
    text: explanation.text,
    detail: { terms: [...explanation.terms], scores: [...scores], relevance },
  }));
}

/** Adds the run's explanations to its writable store. */
export async function installExplanations(output: string, runRoot: string, key: string): Promise<void> {
  const found = await readJson(output, explanationsFile, explanationsSchema);
  using store = FeatureStore.open(join(runRoot, featuresFile));
  store.once("explain", key, () => {
    const rows = [...found.features, ...found.base].map(({ id, text, detail }) => ({
      id,
      explanation: { explainer: found.explainer, text, ...detail },
    }));
    store.addExplanations(rows, true);
  });
}
