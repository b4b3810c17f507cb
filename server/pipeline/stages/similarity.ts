import { Pacer } from "../../common/pacer.ts";
import type { Stage } from "../../runs/stage.ts";
import { loadSae } from "../../sae/format.ts";
import { similarityBaseline } from "../../sae/similarity.ts";
import { autoencodersSchema, qualityFile, saeFolder } from "../artifacts/autoencoders.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { similarityFile, similaritySchema } from "../artifacts/similarity.ts";

/** Measures the similarity of dictionaries by chance: the baseline for the similarity of each layer's two sizes. */
export const similarityStage: Stage<Record<string, never>, "saes"> = {
  name: "similarity",
  codeVersion: 1,
  run: async ({ input, output, random, resumed, progress, stepDone, signal }) => {
    const { similarities } = await readJson(input("saes"), qualityFile, autoencodersSchema);
    const baselines = similaritySchema.parse(resumed?.state ?? { baselines: [] }).baselines;
    for (const { model, layer, small, big } of similarities.slice(baselines.length)) {
      const { sae } = await loadSae(saeFolder(input("saes"), model, layer, small));
      const drawn = random.fork(`${model} ${layer}`);
      const found = await similarityBaseline(sae, { D: sae.D, F: big }, drawn, new Pacer(signal));
      baselines.push({ model, layer, ...found });
      progress(baselines.length, similarities.length, "layers");
      await stepDone(() => ({ state: { baselines } }));
    }
    await writeJson(output, similarityFile, { baselines });
  },
};
