/** The table of kinds of feedback: how each is opened, and what is known of it before. */
import { basename } from "node:path";
import { classifierIssues, classifierReward } from "./classifier.ts";
import { commandFiles, commandIssues, commandReward } from "./command.ts";
import type { RewardEdit } from "./edits.ts";
import { graderCost, graderReward } from "./grader.ts";
import { graderIssues } from "./grader-access.ts";
import { noReward } from "./none.ts";
import type { RewardConfig } from "./reward-configs.ts";
import type { RewardKind } from "./reward-kind.ts";
import { vaderInWords, vaderRatings, vaderReward } from "./vader.ts";
import { weightedKind } from "./weighted.ts";

/** Settings of feedback by kind, as stages take them: without what is judged, and with edits only if there are some. */
export type RewardKinds = {
  readonly [K in RewardConfig["kind"]]: Omit<Extract<RewardConfig, { readonly kind: K }>, "text" | "edits"> & {
    readonly edits?: readonly RewardEdit[];
  };
};

export type RewardSettings = RewardKinds[keyof RewardKinds];

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
  weighted: weightedKind((part) => rewards[part.kind]),
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
