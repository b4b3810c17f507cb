/** The kinds of tasks: the subject of each, and how to make its contrasts. */
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
