import { loadTokenizer } from "../../models/tokenizer.ts";
import { sentimentTask } from "../../tasks/sentiment/sentiment-task.ts";
import type { TripleSettings } from "../../tasks/sentiment/triples.ts";
import { type Task, type Triple, tripleSchema } from "../../tasks/task.ts";
import type { Stage } from "../stage.ts";
import { analysisTexts, readJsonLines, sourceText, tuningTexts, writeJson, writeJsonLines } from "./common.ts";
import type { RewardSettings } from "./tune.ts";

export interface TaskSettings {
  readonly task: "sentiment";
  readonly reward: RewardSettings;
  readonly triples: TripleSettings;
}

export interface TriplesStageSettings extends TaskSettings {
  /** Which texts they are made from. */
  readonly source: "analysis" | "tuning";
  readonly seed: number;
  readonly limit: number | null;
}

/** Files of the `triples` stage. */
const triplesFile = "triples.jsonl";
const tripleCountsFile = "counts.json";

/** Contrastive triples of the analysis texts, or of the tuning ones. */
export const triplesStage: Stage<TriplesStageSettings, "model" | "texts"> = {
  name: "triples",
  codeVersion: 1,
  run: async ({ settings, input, output, signal, progress }) => {
    const tokenizer = await loadTokenizer(input("model"));
    const texts = await readJsonLines(
      input("texts"),
      settings.source === "tuning" ? tuningTexts : analysisTexts,
      sourceText,
    );
    const limit = settings.limit === null ? {} : { limit: settings.limit };
    const { triples, counts } = await taskOf(settings).makeTriples(texts, {
      seed: settings.seed,
      tokenizer,
      signal,
      ...limit,
    });
    await writeJsonLines(output, triplesFile, triples);
    await writeJson(output, tripleCountsFile, counts);
    progress(triples.length, triples.length, "triples");
  },
};

/** The task of an experiment. */
export function taskOf({ reward, triples }: TaskSettings): Task {
  return sentimentTask({ lexicon: reward.lexicon, triples });
}

export function readTriples(folder: string): Promise<Triple[]> {
  return readJsonLines(folder, triplesFile, tripleSchema);
}
