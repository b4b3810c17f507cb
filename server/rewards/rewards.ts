/** The table of kinds of feedback: how each is opened, and what is known of it before. */
import { basename } from "node:path";
import type { Device } from "../engine/device.ts";
import { classifierIssues, classifierReward } from "./classifier.ts";
import { commandFiles, commandIssues, commandReward } from "./command.ts";
import type { RewardEdit } from "./edits.ts";
import { graderCost, graderReward } from "./grader.ts";
import { graderIssues } from "./grader-access.ts";
import { noReward } from "./none.ts";
import type { JudgedText, Reward } from "./reward.ts";
import type { RewardConfig } from "./reward-configs.ts";
import type { FolderOf, RewardIssue } from "./reward-issues.ts";
import { vaderInWords, vaderRatings, vaderReward } from "./vader.ts";
import type { WordRatings } from "./word-ratings.ts";

/** Settings of feedback by kind, as stages take them: without what is judged, and with edits only if there are some. */
export type RewardKinds = {
  readonly [K in RewardConfig["kind"]]: Omit<Extract<RewardConfig, { readonly kind: K }>, "text" | "edits"> & {
    readonly edits?: readonly RewardEdit[];
  };
};

export type RewardSettings = RewardKinds[keyof RewardKinds];

/** A kind of feedback whose settings are `Settings`. */
export interface RewardKind<Settings> {
  /** Opens the feedback, which judges the given part of a completion; a model is loaded onto the device. */
  open(settings: Settings, text: JudgedText, device: Device): Promise<Reward>;
  /** Its ratings of single words, without edits; undefined if it judges whole texts only. */
  ratings(settings: Settings): WordRatings | undefined;
  /** Models that give the rewards: folders, or hub ids. */
  models(settings: Settings): readonly string[];
  /** Paths of files whose contents decide the rewards; those that do not exist are ignored. */
  files(settings: Settings): readonly string[];
  /** What shows only in what the settings name, before anything is computed; a run does not start with any. */
  issues(settings: Settings, folderOf: FolderOf): Promise<readonly RewardIssue[]>;
  /** What asking for the rewards of so many completions may cost in money, in words; undefined: nothing. */
  cost(settings: Settings, completions: number): string | undefined;
  /** The source of the feedback, for the head of a report. */
  inWords(settings: Settings): string;
}

export type RewardTable<Kinds> = { readonly [K in keyof Kinds]: RewardKind<Kinds[K]> };

export const rewards: RewardTable<RewardKinds> = {
  vader: {
    open: async (settings, text) => vaderReward(settings, text),
    ratings: vaderRatings,
    models: () => [],
    files: () => [],
    issues: async () => [],
    cost: () => undefined,
    inWords: vaderInWords,
  },
  command: {
    open: async (settings, text) => commandReward(settings, text),
    ratings: vaderRatings,
    models: () => [],
    files: commandFiles,
    issues: commandIssues,
    cost: () => undefined,
    inWords: ({ command, lexicon }) =>
      `the program ${command.map((part) => basename(part)).join(" ")} (words: ${vaderInWords({ lexicon })})`,
  },
  classifier: {
    open: classifierReward,
    ratings: vaderRatings,
    models: ({ model }) => [model],
    files: () => [],
    issues: classifierIssues,
    cost: () => undefined,
    inWords: ({ model, label, output, scale, lexicon }) =>
      `the ${output}${label === null ? "" : ` of ${label}`} by the classifier ${model}${scale === 1 ? "" : `, times ${scale}`} (words: ${vaderInWords({ lexicon })})`,
  },
  grader: {
    open: async (settings, text) => graderReward(settings, text),
    ratings: vaderRatings,
    models: () => [],
    files: () => [],
    issues: async (settings) => graderIssues(settings),
    cost: graderCost,
    inWords: ({ model, endpoint, rubric, scale, lexicon }) =>
      `grades by the model ${model} at ${endpoint}${scale === 1 ? "" : `, times ${scale}`}, by the rubric ${JSON.stringify(rubric)} (words: ${vaderInWords({ lexicon })})`,
  },
  none: {
    open: async () => noReward(),
    ratings: () => undefined,
    models: () => [],
    files: () => [],
    issues: async () => [],
    cost: () => undefined,
    inWords: () => "none: the pairs of the data are the preference",
  },
};
