import { join } from "node:path";
import { loadModel } from "../../models/checkpoint.ts";
import { writeSafetensors } from "../../models/safetensors.ts";
import { LogRatioCollection } from "../../probe/collect-log-ratio.ts";
import type { Stage } from "../../runs/stage.ts";
import { spansOf } from "../../tasks/contrast.ts";
import { readFloats } from "../artifacts/array-files.ts";
import { collectAll } from "../artifacts/collecting.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { logRatiosFile, logRatiosTensor } from "../artifacts/log-ratios.ts";
import { prefixOf } from "../artifacts/token-ids.ts";
import { readTriples } from "../artifacts/triples.ts";

export interface LogRatioSettings {
  readonly prependBos: boolean;
}

/**
 * Measures the change by tuning in the log-probability of each target word, in nats. `model` is the base model, whose
 * tokenizer serves both.
 */
export const logRatioStage: Stage<LogRatioSettings, "model" | "tuned" | "triples"> = {
  name: "log-ratio",
  codeVersion: 1,
  run: async (context) => {
    const { input, settings, output } = context;
    await withDevice(context, async (device) => {
      const { model: base, tokenizer } = await loadModelAndTokenizer(device, input("model"));
      const tuned = await loadModel(device, input("tuned"), { prefix: "tuned." });
      const collection = new LogRatioCollection(spansOf(await readTriples(input("triples"))), {
        device,
        pair: { tuned, base },
        tokenizer,
        prefixIds: prefixOf({ prependBos: settings.prependBos, bosId: base.config.bosId }),
      });
      const data = await collectAll(collection, context, readFloats);
      await writeSafetensors(join(output, logRatiosFile), [
        { name: logRatiosTensor, dtype: "F32", shape: [data.length], data },
      ]);
    });
  },
};
