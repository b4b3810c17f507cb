import { loadTokenizer } from "../../models/tokenizer.ts";
import type { Stage } from "../../runs/stage.ts";
import { readJsonLines, writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import { analysisTexts, sourceText, tuningTexts } from "../artifacts/texts.ts";
import { tripleCountsFile, triplesFile } from "../artifacts/triples.ts";
import { type TaskSettings, taskOf } from "../feedback.ts";

export interface TriplesStageSettings extends TaskSettings {
  /** Which texts they are made from. */
  readonly source: "analysis" | "tuning";
  readonly seed: number;
  readonly limit: number | null;
}

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
