/** The stages' settings for an experiment's feedback and task, which enter the keys of their outputs. */
import { LfpError } from "../../common/errors.ts";
import { editsOf } from "../../rewards/reward-configs.ts";
import { NoWordRatingsError } from "../../rewards/word-ratings.ts";
import { isPairTask } from "../../tasks/tasks.ts";
import { factsOfTuning } from "../../tuning/tunings.ts";
import {
  costOf,
  type EditSettings,
  type Feedback,
  feedback,
  type RewardSettings,
  type TaskOf,
  type TaskSettings,
} from "../feedback.ts";
import { ExperimentError, type ExperimentIssue, issueAt } from "./issues.ts";
import { type Experiment, tripleSettingsOf, tuningOf } from "./schema.ts";

type Sections = Pick<Experiment, "task" | "reward" | "triples">;

/** Settings of the reward without edits, as every stage except tuning takes them. */
export function rewardSettingsOf({ reward }: Pick<Sections, "reward">): RewardSettings {
  if (!("text" in reward)) return reward;
  const { text: _, ...settings } = reward;
  if (!("edits" in settings)) return settings;
  const { edits: __, ...unedited } = settings;
  return unedited;
}

/** Settings of the edits; empty without edits, so that runs without them keep their keys. */
export function editSettingsOf({ reward }: Pick<Sections, "reward">): EditSettings {
  const edits = editsOf(reward);
  return edits.length === 0 ? {} : { edits };
}

/** An operation needs words with ratings, but the experiment's task is about pairs of answers. */
export class PairTaskError extends LfpError {
  readonly code = "input";

  constructor(task: string) {
    super(
      `the task ${task} is about pairs of answers, and this needs a task about words, such as sentiment: ` +
        "docs/experiment.md, Preferences, says what a run on pairs has",
    );
  }
}

/** Throws `PairTaskError` if the task is not about words. */
export function requireWords({ task }: Pick<Sections, "task">): void {
  if (isPairTask(task)) throw new PairTaskError(task);
}

/** Settings of the feedback, and of making triples with it. Throws `PairTaskError` if the task is not about words. */
export function taskSettingsOf(experiment: Sections): TaskSettings {
  if (isPairTask(experiment.task)) throw new PairTaskError(experiment.task);
  return { task: experiment.task, reward: rewardSettingsOf(experiment), triples: tripleSettingsOf(experiment) };
}

/** What the rewards of an experiment's tuning and evaluation may cost in money, in words; undefined: nothing. */
export function feedbackCost(experiment: Experiment): string | undefined {
  const tuning = tuningOf(experiment);
  const completions = tuning === undefined ? 0 : factsOfTuning(tuning).completions;
  return costOf(rewardSettingsOf(experiment), completions + 2 * experiment.evaluate.prompts);
}

/**
 * Rejects an experiment whose task needs more than its feedback provides, before anything is computed. Throws
 * `ExperimentError`.
 */
export function checkFeedback(experiment: Sections & Pick<Experiment, "name">): void {
  const issues = feedbackIssues(taskSettingsOf(experiment), feedback);
  if (issues.length > 0) throw new ExperimentError(experiment.name, issues);
}

/** What a task lacks in its feedback, whatever the kinds of both: ratings of words. */
export function feedbackIssues<R, T>(
  settings: TaskOf<R, T>,
  { taskOf }: Pick<Feedback<R, T>, "taskOf">,
): ExperimentIssue[] {
  try {
    taskOf(settings);
    return [];
  } catch (error) {
    if (!(error instanceof NoWordRatingsError)) throw error;
    return [issueAt(["reward", "kind"], error.message, "rule")];
  }
}
