import type { Stage } from "../../runs/stage.ts";
import { AblationBench } from "../ablation/measure.ts";
import { openPairAblation, type PairAblationSettings } from "../ablation/open-pairs.ts";
import { journalOf, measureAll, type SetInput, type SetSettings, setsOf } from "../ablation/run-sets.ts";
import { ablationFile, ablationSchema } from "../artifacts/ablation.ts";
import { writeJson } from "../artifacts/json-files.ts";
import { withDevice } from "../artifacts/loading.ts";

export interface AblatePairsSettings extends PairAblationSettings, SetSettings {}

type Inputs = SetInput | "model" | "tuned" | "texts" | "saes";

/** Removes features of a model that was tuned on pairs, and measures what held-out preferences lose, beside controls. */
export const ablatePairsStage: Stage<AblatePairsSettings, Inputs> = {
  name: "ablate-pairs",
  codeVersion: 4,
  run: async (context) => {
    const { settings, input, output } = context;
    const sets = await setsOf(context);
    await withDevice(context, async (device) => {
      const paths = { model: input("model"), tuned: input("tuned"), texts: input("texts"), saes: input("saes") };
      const subject = await openPairAblation(device, paths, settings, new Set(["small"]));
      const bench = await AblationBench.open([subject], await journalOf(context));
      const measured = await measureAll(bench, sets, context);
      await bench.dispose();
      await writeJson(output, ablationFile, ablationSchema.parse({ picked: sets.main.picked, ...measured }));
    });
  },
};
