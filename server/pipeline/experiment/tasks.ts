import type { Experiment } from "./schema.ts";

/** What each task's feedback is about, in words: what features are held against when they are judged relevant or not. */
export const taskDescriptions: { readonly [T in Experiment["task"]]: string } = {
  sentiment:
    "sentiment: the text earns reward for words with a positive feeling and loses reward for words with a negative feeling",
};
