import { join } from "node:path";
import { type ExplainResult, explainFeatures } from "../../explain/explain-features.ts";
import { offlineExplainer } from "../../explain/offline.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { FeatureStore } from "../../store/store.ts";
import type { PairTask, WordTask } from "../../tasks/tasks.ts";
import { type Explanations, explanationsFile, explanationsSchema } from "../artifacts/explanations.ts";
import { featuresFile } from "../artifacts/features.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { featureCase } from "../features/cases.ts";
import { type RewardSettings, ratingsOf } from "../feedback.ts";

export interface ExplainSettings {
  readonly task: WordTask | PairTask;
  readonly reward: RewardSettings;
  /** Number of features of each layer, in descending order of similarity of the two sizes. */
  readonly perLayer: number;
  readonly seed: number;
}

type Context = StageContext<ExplainSettings, "examples">;

/**
 * Explains the features that both sizes found, of the tuned and of the base model, without a language model, and scores
 * the explanations.
 */
export const explainStage: Stage<ExplainSettings, "examples"> = {
  name: "explain",
  codeVersion: 3,
  run: async (context) => {
    const { settings, input, output } = context;
    using store = FeatureStore.openOutput(join(input("examples"), featuresFile));
    const task = store.meta("task") ?? settings.task;
    const [ids, baseIds] = [store.mostSimilar(settings.perLayer), store.mostSimilar(settings.perLayer, "base")];
    const explainer = offlineExplainer({
      wordValues: ratingsOf(settings.reward)?.values ?? new Map(),
      background: store.windows(1000),
    });
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
  },
};

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
