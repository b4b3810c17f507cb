/** What stages are told of an experiment's feedback and task: their outputs are kept by these settings. */
import type { EditSettings, RewardSettings, TaskSettings } from "../feedback.ts";
import { type Experiment, tripleSettingsOf } from "./schema.ts";

type Feedback = Pick<Experiment, "task" | "reward" | "triples">;

/** What completions and words are worth, as everything but tuning takes it. */
export function rewardSettingsOf({ reward }: Pick<Feedback, "reward">): RewardSettings {
  const { text: _, edits: __, ...settings } = reward;
  return settings;
}

/** Nothing where nothing is edited, so that runs without edits keep their keys. */
export function editSettingsOf({ reward: { edits } }: Pick<Feedback, "reward">): EditSettings {
  return edits.length === 0 ? {} : { edits };
}

/** What the feedback is and how triples are made of it. */
export function taskSettingsOf(experiment: Feedback): TaskSettings {
  return { task: experiment.task, reward: rewardSettingsOf(experiment), triples: tripleSettingsOf(experiment) };
}
