import { join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import type { Stage } from "../../runs/stage.ts";
import { FeatureStore } from "../../store/store.ts";
import { StoreWriter } from "../../store/writer.ts";
import { featuresFile } from "../artifacts/features.ts";
import { type DescribeSettings, describeModel, describePlace, partialStore } from "../features/describe.ts";
import { models, openDictionaries } from "../features/dictionaries.ts";

export interface ExamplesSettings extends DescribeSettings {
  /** What the feedback is about, in words. */
  readonly task: string;
}

/** Finds where each feature of every dictionary is active, and saves examples. */
export const examplesStage: Stage<ExamplesSettings, "model" | "tuned" | "texts" | "saes" | "probe"> = {
  name: "examples",
  codeVersion: 1,
  run: async (context) => {
    const { settings, input, output, resumed } = context;
    const path = join(output, featuresFile);
    if (resumed !== undefined) await writeFileAtomically(path, await resumed.read(partialStore));
    const from = resumed && describePlace.parse(resumed.state);
    const writer = new StoreWriter(path);
    try {
      if (from === undefined) {
        writer.meta("task", settings.task);
        writer.commit();
      }
      const dictionaries = await openDictionaries(input("saes"));
      for (const model of models.slice(from === undefined ? 0 : models.indexOf(from.model)))
        await describeModel({ model, dictionaries, writer, context, from: model === from?.model ? from : undefined });
      writer.finish();
    } catch (error) {
      writer.abandon();
      throw error;
    }
  },
};

/** Updates a run's writable store to the stage's output; keeps what people wrote. */
export function installFeatures(output: string, runRoot: string, key: string): void {
  using store = FeatureStore.open(join(runRoot, featuresFile), { create: true });
  store.refill({ path: join(output, featuresFile), key });
}
