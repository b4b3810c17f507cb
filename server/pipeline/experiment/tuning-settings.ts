/** The stages' settings for an experiment's tuning and completions, with what enters their keys. */
import { invariant } from "../../common/errors.ts";
import { judgedTextOf } from "../../rewards/reward-configs.ts";
import type { CompletionSettings, EditSettings, RewardSettings } from "../feedback.ts";
import { keyedCompletion, keyedTuning } from "./older-form.ts";
import { type Experiment, tuningOf } from "./schema.ts";

/** How prompts are made and completed, and which text is judged. */
export function completionSettingsOf({
  sampling,
  text,
  reward,
}: Pick<Experiment, "sampling" | "text" | "reward">): CompletionSettings {
  return { sampling, text, judged: judgedTextOf(reward) };
}

/** Settings of a stage that tunes. Calling it for an experiment with a given tuned model is a bug. */
export function tuneSettings(experiment: Experiment, reward: RewardSettings & EditSettings) {
  const tuning = tuningOf(experiment);
  invariant(tuning !== undefined, "an experiment with a tuned model that is given has no tuning");
  return {
    settings: { tuning, ...completionSettingsOf(experiment), reward },
    keyed: { ...keyedTuning(experiment, tuning), reward },
  };
}

/** Settings of a stage that completes prompts and has settings of its own. */
export function completionStageSettings<S extends object>(experiment: Experiment, own: S) {
  return {
    settings: { ...completionSettingsOf(experiment), ...own },
    keyed: { ...keyedCompletion(experiment), ...own },
  };
}
