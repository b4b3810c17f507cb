import { vaderRewardFunction } from "../../rewards/vader.ts";
import { type VaderEdition, vaderLexicon } from "../../rewards/vader-lexicon.ts";
import type { Task } from "../task.ts";
import { defaultTripleSettings, makeSentimentTriples, type TripleSettings } from "./triples.ts";

export interface SentimentTaskOptions {
  readonly lexicon: VaderEdition;
  readonly triples?: Partial<TripleSettings>;
}

/** The paper's controlled task: VADER's word ratings as feedback (Marks et al., section 3.1). */
export function sentimentTask({ lexicon: edition, triples }: SentimentTaskOptions): Task {
  const lexicon = vaderLexicon(edition);
  const settings = { ...defaultTripleSettings, ...triples };
  return {
    name: "sentiment",
    reward: vaderRewardFunction({ lexicon: edition }),
    wordValues: lexicon,
    makeTriples: (texts, request) => makeSentimentTriples(texts, lexicon, settings, request),
  };
}
