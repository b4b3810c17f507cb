/** The kinds of tasks: what each is about, and how its contrasts are made. */
import type { WordRatings } from "../rewards/word-ratings.ts";
import { sentimentTask } from "./sentiment/sentiment-task.ts";
import type { TripleSettings } from "./sentiment/triples.ts";
import type { Task } from "./task.ts";

/** What a run is told of a task, by kind. */
export interface TaskKinds {
  readonly sentiment: { readonly triples: TripleSettings };
}

export interface TaskKind<Settings> {
  /** What the feedback is about, in words: what features are held against when they are judged relevant or not. */
  readonly description: string;
  /** Makes the task. `ratings` gives what the feedback says of words, and throws `NoWordRatingsError` where it rates none. */
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
