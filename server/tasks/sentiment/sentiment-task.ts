import type { WordRatings } from "../../rewards/word-ratings.ts";
import type { Task } from "../task.ts";
import { defaultTripleSettings, makeSentimentTriples, type TripleSettings } from "./triples.ts";

/** The paper's controlled task: word ratings as feedback, usually VADER's (Marks et al., section 3.1). */
export function sentimentTask(ratings: WordRatings, triples?: Partial<TripleSettings>): Task {
  const settings = { ...defaultTripleSettings, ...triples };
  return {
    name: "sentiment",
    ratings,
    makeTriples: (texts, request) => makeSentimentTriples(texts, ratings.values, settings, request),
  };
}
