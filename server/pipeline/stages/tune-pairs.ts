import { noReward } from "../../rewards/none.ts";
import type { Stage } from "../../runs/stage.ts";
import type { CompletionConfig } from "../../tuning/sampling-config.ts";
import { tuners } from "../../tuning/tuners.ts";
import type { Tuning } from "../../tuning/tunings.ts";
import { readPairs, tuningPairs } from "../artifacts/pairs.ts";
import { tuneModel } from "./tune.ts";

export interface TunePairsSettings extends CompletionConfig {
  readonly tuning: Tuning;
}

/** Fine-tunes the model on pairs of answers; the output is a Hugging Face checkpoint. */
export const tunePairsStage: Stage<TunePairsSettings, "model" | "texts"> = {
  name: "tune-pairs",
  codeVersion: 2,
  run: async (context) => {
    const pairs = await readPairs(context.input("texts"), tuningPairs);
    await tuneModel(context, async () => noReward(), tuners, { texts: [], pairs });
  },
};
