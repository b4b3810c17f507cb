/** The ways of tuning as they run; `tunings.ts` has what is known of them before. */
import { openDpoTuner } from "./dpo-tuner.ts";
import { openPpoTuner } from "./ppo-tuner.ts";
import type { TunerTable } from "./tuner.ts";
import type { TuningKinds } from "./tunings.ts";

export const tuners: TunerTable<TuningKinds> = {
  ppo: openPpoTuner,
  dpo: openDpoTuner,
};
