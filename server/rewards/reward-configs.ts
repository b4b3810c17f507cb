/** Schemas of the settings of every kind of feedback, discriminated by `kind`: what `reward` of an experiment file may be. */
import type { z } from "zod";
import { ClassifierConfig } from "./classifier-config.ts";
import { CommandConfig } from "./command-config.ts";
import type { RewardEdit } from "./edits.ts";
import { GraderConfig } from "./grader-config.ts";
import { NoRewardConfig } from "./none.ts";
import type { JudgedText } from "./reward.ts";
import { VaderConfig } from "./vader-config.ts";
import { WeightedConfig } from "./weighted-config.ts";

export const rewardSchemas = [
  VaderConfig,
  CommandConfig,
  ClassifierConfig,
  GraderConfig,
  WeightedConfig,
  NoRewardConfig,
] as const;

/** An experiment's feedback. A kind that rates words has `edits` of the ratings, which only tuning receives. */
export type RewardConfig = z.infer<(typeof rewardSchemas)[number]>;

/** Whether the kind of feedback has ratings of its own that can be edited. */
export function hasEdits(reward: RewardConfig): boolean {
  return "edits" in reward;
}

/** The edits of ratings; none where the kind rates no words. */
export function editsOf(reward: RewardConfig): readonly RewardEdit[] {
  return "edits" in reward ? reward.edits : [];
}

/** Which text of a completion is judged; the completion alone where nothing judges. */
export function judgedTextOf(reward: RewardConfig): JudgedText {
  return "text" in reward ? reward.text : "completion";
}
