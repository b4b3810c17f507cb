/** The table of tuners; `tunings.ts` has the facts about them that need no engine. */
import { openDpoTuner } from "./dpo-tuner.ts";
import { openPpoTuner } from "./ppo-tuner.ts";
import type { TunerTable } from "./tuner.ts";
import type { TuningKinds } from "./tunings.ts";

export const tuners: TunerTable<TuningKinds> = {
  ppo: openPpoTuner,
  dpo: openDpoTuner,
};
