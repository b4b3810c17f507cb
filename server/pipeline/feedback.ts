/** Opens an experiment's feedback and its task by their kinds. */
import type { Device } from "../engine/device.ts";
import type { RewardEdit } from "../rewards/edits.ts";
import type { JudgedText, Reward } from "../rewards/reward.ts";
import type { FolderOf, RewardIssue } from "../rewards/reward-issues.ts";
import { type RewardKinds, type RewardTable, rewards } from "../rewards/rewards.ts";
import { NoWordRatingsError, type WordRatings } from "../rewards/word-ratings.ts";
import type { Task } from "../tasks/task.ts";
import { type TaskKinds, type TaskTable, tasks } from "../tasks/tasks.ts";
import type { CompletionConfig } from "../tuning/sampling-config.ts";

/** Settings of a reward, of one of the kinds R. */
export type RewardOf<R> = { readonly kind: keyof R } & R[keyof R];

/** Settings of a task, of one of the kinds T, with its feedback. */
export type TaskOf<R, T> = { readonly task: keyof T; readonly reward: RewardOf<R> } & T[keyof T];

/** Tables of every known kind of feedback and of task. */
export interface FeedbackTables<R, T> {
  readonly rewards: RewardTable<R>;
  readonly tasks: TaskTable<T>;
}

/** Opens feedback and tasks of the kinds R and T. */
export interface Feedback<R, T> {
  /** The reward that settings name; a reward that is a model is on the device. The caller disposes it. */
  rewardOf(settings: RewardOf<R>, text: JudgedText, device: Device): Promise<Reward>;
  /** The source of the feedback in words, for the head of a report. */
  sourceOf(settings: RewardOf<R>): string;
  /** Models that give the rewards, as an experiment names them. */
  modelsOf(settings: RewardOf<R>): readonly string[];
  /** Paths of files whose contents decide the rewards, if they exist. */
  filesOf(settings: RewardOf<R>): readonly string[];
  /** What is wrong in the settings and shows only in what they name, before anything is computed. */
  issuesOf(settings: RewardOf<R>, folderOf: FolderOf): Promise<readonly RewardIssue[]>;
  /** What asking for the rewards of so many completions may cost in money, in words; undefined: nothing. */
  costOf(settings: RewardOf<R>, completions: number): string | undefined;
  /** The feedback's ratings of words; undefined if it judges whole texts only. */
  ratingsOf(settings: RewardOf<R>): WordRatings | undefined;
  /**
   * The ratings of words that `what`, such as "stage calibrate", needs. Throws `NoWordRatingsError` if there are none.
   */
  needRatings(settings: RewardOf<R>, what: string): WordRatings;
  /** The task of an experiment. Throws `NoWordRatingsError` if it needs ratings of words and there are none. */
  taskOf(settings: TaskOf<R, T>): Task;
}

/** Feedback and tasks of the kinds of some tables. */
export function feedbackOf<R, T>(tables: FeedbackTables<R, T>): Feedback<R, T> {
  const ratingsOf = (settings: RewardOf<R>): WordRatings | undefined => tables.rewards[settings.kind].ratings(settings);
  const needRatings = (settings: RewardOf<R>, what: string): WordRatings => {
    const ratings = ratingsOf(settings);
    if (ratings === undefined) throw new NoWordRatingsError(String(settings.kind), what);
    return ratings;
  };
  return {
    rewardOf: (settings, text, device) => tables.rewards[settings.kind].open(settings, text, device),
    modelsOf: (settings) => tables.rewards[settings.kind].models(settings),
    filesOf: (settings) => tables.rewards[settings.kind].files(settings),
    issuesOf: (settings, folderOf) => tables.rewards[settings.kind].issues(settings, folderOf),
    costOf: (settings, completions) => tables.rewards[settings.kind].cost(settings, completions),
    sourceOf: (settings) => tables.rewards[settings.kind].inWords(settings),
    ratingsOf,
    needRatings,
    taskOf: (settings) =>
      tables.tasks[settings.task].make(settings, () =>
        needRatings(settings.reward, `the task "${String(settings.task)}"`),
      ),
  };
}

/** The kinds that an experiment can name. */
export const feedback: Feedback<RewardKinds, TaskKinds> = feedbackOf({ rewards, tasks });

export const { rewardOf, modelsOf, filesOf, issuesOf, costOf, sourceOf, ratingsOf, needRatings, taskOf } = feedback;

/** Settings of the feedback as every stage except tuning takes them. */
export type RewardSettings = RewardOf<RewardKinds>;

/** Settings of the task, and of its feedback. */
export type TaskSettings = TaskOf<RewardKinds, TaskKinds>;

/** How prompts are made and completed, and which text of a completion is judged. */
export interface CompletionSettings extends CompletionConfig {
  readonly judged: JudgedText;
}

/** Settings with a reward's edits; the member is absent if there are none, so that a stage's key does not change. */
export interface EditSettings {
  readonly edits?: readonly RewardEdit[];
}
