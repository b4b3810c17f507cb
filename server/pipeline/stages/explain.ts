import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { explainFeatures } from "../../explain/explain-features.ts";
import { offlineExplainer } from "../../explain/offline.ts";
import { explanationDetail } from "../../store/rows.ts";
import { FeatureStore } from "../../store/store.ts";
import { featureCase } from "../features/cases.ts";
import type { Stage } from "../stage.ts";
import { writeJson } from "./common.ts";
import { featuresFile } from "./examples.ts";
import { type TaskSettings, taskOf } from "./triples.ts";

export interface ExplainSettings extends TaskSettings {
  /** Features of each layer, by falling similarity of the two sizes. */
  readonly perLayer: number;
  readonly seed: number;
}

/** File of the `explain` stage. */
export const explanationsFile = "explanations.json";

export const explanationsSchema = z.object({
  explainer: z.string(),
  task: z.string(),
  features: z.array(z.object({ id: z.string(), text: z.string(), detail: explanationDetail })),
  failed: z.array(z.object({ id: z.string(), reason: z.string() })),
});
export type Explanations = z.infer<typeof explanationsSchema>;

/** Explains the features that both sizes found, without a language model, and scores the explanations. */
export const explainStage: Stage<ExplainSettings, "examples"> = {
  name: "explain",
  codeVersion: 1,
  run: async ({ settings, input, output, progress, stepDone }) => {
    using store = FeatureStore.openOutput(join(input("examples"), featuresFile));
    const task = store.meta("task") ?? settings.task;
    const ids = store.mostSimilar(settings.perLayer);
    const { explained, failed } = await explainFeatures(
      ids.map((id) => featureCase(store, id)),
      {
        explainer: offlineExplainer({ wordValues: taskOf(settings).wordValues, background: store.windows(1000) }),
        task,
        seed: settings.seed,
        concurrency: 1,
        onProgress: (done, total) => progress(done, total, "steps"),
        onExplained: () => stepDone(() => ({ state: {} })),
      },
    );
    const found: Explanations = {
      explainer: "offline",
      task,
      features: explained.map(({ id, explanation, scores, relevance }) => ({
        id,
        text: explanation.text,
        detail: { terms: [...explanation.terms], scores: [...scores], relevance },
      })),
      failed: [...failed],
    };
    await writeJson(output, explanationsFile, explanationsSchema.parse(found));
  },
};

/** Puts the run's explanations into its living store. */
export function installExplanations(output: string, runRoot: string, key: string): void {
  using store = FeatureStore.open(join(runRoot, featuresFile));
  store.once("explain", key, () => {
    const found = explanationsSchema.parse(JSON.parse(readFileSync(join(output, explanationsFile), "utf8")));
    const rows = found.features.map(({ id, text, detail }) => ({
      id,
      explanation: { explainer: found.explainer, text, ...detail },
    }));
    store.addExplanations(rows, true);
  });
}
