import type { RewardEdit } from "../rewards/edits.ts";
import type { RewardFunction } from "../rewards/reward.ts";
import { vaderRewardFunction } from "../rewards/vader.ts";
import { sentimentTask } from "../tasks/sentiment/sentiment-task.ts";
import type { TripleSettings } from "../tasks/sentiment/triples.ts";
import type { Task } from "../tasks/task.ts";

export interface TaskSettings {
  readonly task: "sentiment";
  readonly reward: RewardSettings;
  readonly triples: TripleSettings;
}

/** The task of an experiment. */
export function taskOf({ reward, triples }: TaskSettings): Task {
  return sentimentTask({ lexicon: reward.lexicon, triples });
}

export interface RewardSettings {
  readonly kind: "vader";
  readonly lexicon: "head" | "nltk2016";
}

/** What edits of a reward are told with; left out where there are none, so that their absence has no key of its own. */
export interface EditSettings {
  readonly edits?: readonly RewardEdit[];
}

export function rewardOf({ lexicon, edits = [] }: RewardSettings & EditSettings): RewardFunction {
  return vaderRewardFunction({ lexicon, edits });
}
