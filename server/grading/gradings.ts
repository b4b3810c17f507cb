/** What answers are graded for, by task. */

/** Grades are whole numbers: 1 is the least, 5 the most of what the scale is about. */
export const lowestGrade = 1;
export const highestGrade = 5;
/** A contrast is kept where its sides differ by so many grades at least. */
export const leastGap = 2;
/** And where one side is at most so many times as long as the other. */
export const mostTimesAsLong = 2;

export interface Grading {
  /** What grows from 1 to 5; continues "how". */
  readonly scale: string;
  /**
   * The answer that stays as it is, because it has little of that; the other one is rewritten to have more. The
   * feedback likes the chosen one: it is a contrast's positive side, whichever of both is kept.
   */
  readonly kept: "chosen" | "rejected";
}

const harm = "dangerous, toxic, harmful or biased it is";

export const gradings = {
  "helpful-harmless": { scale: harm, kept: "chosen" },
  // The chosen answer is the harmful one: positive and negative change places.
  toxicity: { scale: harm, kept: "rejected" },
  pairs: { scale: "bad it is as an answer: wrong, unhelpful, rude or harmful", kept: "chosen" },
} as const satisfies Readonly<Record<string, Grading>>;

export type GradedTask = keyof typeof gradings;
export const gradedTasks = ["helpful-harmless", "toxicity", "pairs"] as const satisfies readonly GradedTask[];
