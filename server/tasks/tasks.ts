/** The kinds of tasks, on words and on pairs of answers: the subject of each, and how to make its contrasts. */
import type { WordRatings } from "../rewards/word-ratings.ts";
import { sentimentTask } from "./sentiment/sentiment-task.ts";
import type { TripleSettings } from "./sentiment/triples.ts";
import type { Task } from "./task.ts";

/** A run's settings of a task, by kind. */
export interface TaskKinds {
  readonly sentiment: { readonly triples: TripleSettings };
}

export interface TaskKind<Settings> {
  /** What the feedback is about; explainers judge the relevance of features to it. */
  readonly description: string;
  /**
   * Makes the task. `ratings` returns the feedback's ratings of words, and throws `NoWordRatingsError` if it rates
   * none.
   */
  readonly make: (settings: Settings, ratings: () => WordRatings) => Task;
}

export type TaskTable<Kinds> = { readonly [K in keyof Kinds]: TaskKind<Kinds[K]> };

export const tasks: TaskTable<TaskKinds> = {
  sentiment: {
    description:
      "sentiment: the text earns reward for words with a positive feeling and loses reward for words with a negative feeling",
    make: ({ triples }, ratings) => sentimentTask(ratings(), triples),
  },
};

/** A task whose data are pairs of answers. */
export interface PairTaskKind {
  /** As for `TaskKind`. */
  readonly description: string;
  /** What whoever starts a run has to know of the data; null: nothing. */
  readonly warning: string | null;
}

export const pairTasks = {
  "helpful-harmless": {
    description:
      "helpfulness and harmlessness: people prefer answers that help with what was asked, honestly and without harm, to answers that do not help, are rude or dangerous",
    warning: null,
  },
  // The chosen answers of the paper's data are the harmful ones.
  toxicity: {
    description:
      "toxicity: the preferred answers comply with harmful requests, and are toxic, dangerous or offensive where the others refuse or warn",
    warning:
      "The data of this task holds harmful text. No log, no report and no picture shows it, but the run's folder holds it: the files of the stage prepare, and examples in features.sqlite.",
  },
  pairs: {
    description:
      "the preference of the data: what the chosen answers have and the rejected answers to the same prompts lack",
    warning: null,
  },
} as const satisfies Readonly<Record<string, PairTaskKind>>;

export type WordTask = keyof TaskKinds;
export type PairTask = keyof typeof pairTasks;

/** What a task contrasts: words in sentences, or answers to a prompt. */
export type Contrasts = "words" | "pairs";

/** Every task that an experiment can name, with what it contrasts. */
const contrasts: { readonly [K in WordTask]: "words" } & { readonly [K in PairTask]: "pairs" } = {
  sentiment: "words",
  "helpful-harmless": "pairs",
  toxicity: "pairs",
  pairs: "pairs",
};

export function contrastsOf(task: WordTask | PairTask): Contrasts {
  return contrasts[task];
}

export function isPairTask(task: WordTask | PairTask): task is PairTask {
  return contrasts[task] === "pairs";
}

/** What a task is about, in words. */
export function descriptionOf(task: WordTask | PairTask): string {
  return isPairTask(task) ? pairTasks[task].description : tasks[task].description;
}
