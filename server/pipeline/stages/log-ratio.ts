import { join } from "node:path";
import { z } from "zod";
import { loadModel } from "../../models/checkpoint.ts";
import { openSafetensors, writeSafetensors } from "../../models/safetensors.ts";
import { LogRatioCollection } from "../../probe/collect-log-ratio.ts";
import type { Stage } from "../stage.ts";
import { arrayFiles, readFloats } from "./array-files.ts";
import { loadModelAndTokenizer, withDevice } from "./common.ts";
import { prefixOf } from "./token-ids.ts";
import { readTriples } from "./triples.ts";

export interface LogRatioSettings {
  readonly prependBos: boolean;
}

const file = "log-ratios.safetensors";
const tensor = "logRatio";

/** What tuning changed in the prediction of each target word, in nats. `model` is the base model, whose tokenizer serves both. */
export const logRatioStage: Stage<LogRatioSettings, "model" | "tuned" | "triples"> = {
  name: "log-ratio",
  codeVersion: 1,
  run: async (context) => {
    const { input, settings, output } = context;
    await withDevice(context, async (device) => {
      const { model: base, tokenizer } = await loadModelAndTokenizer(device, input("model"));
      const tuned = await loadModel(device, input("tuned"), { prefix: "tuned." });
      const collection = new LogRatioCollection(await readTriples(input("triples")), {
        device,
        pair: { tuned, base },
        tokenizer,
        prefixIds: prefixOf({ prependBos: settings.prependBos, bosId: base.config.bosId }),
      });
      if (context.resumed !== undefined) {
        const { done } = z.object({ done: z.int() }).parse(context.resumed.state);
        const { [tensor]: saved = new Float32Array() } = await readFloats(context.resumed);
        collection.restore(done, saved);
      }
      while (await collection.step()) {
        context.progress(collection.doneTexts, collection.texts, "texts");
        await context.stepDone(() => ({
          state: { done: collection.done },
          files: arrayFiles({ [tensor]: collection.captured() }),
        }));
      }
      const data = await collection.finish();
      await writeSafetensors(join(output, file), [{ name: tensor, dtype: "F32", shape: [data.length], data }]);
    });
  },
};

/** lambda of every version of every triple [3n], in the order of their features; NaN where there is none. */
export async function readLogRatios(folder: string): Promise<Float32Array> {
  await using source = await openSafetensors(join(folder, file));
  return await source.readFloat32(tensor);
}
