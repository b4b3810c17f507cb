import { loadTokenizer } from "../../models/tokenizer.ts";
import type { RewardKinds } from "../../rewards/rewards.ts";
import type { Stage } from "../../runs/stage.ts";
import type { TaskKinds } from "../../tasks/tasks.ts";
import { readJsonLines, writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import { analysisTexts, sourceText, tuningTexts } from "../artifacts/texts.ts";
import { tripleCountsFile, triplesFile } from "../artifacts/triples.ts";
import { type Feedback, feedback, type TaskOf } from "../feedback.ts";

interface TriplesSettings {
  /** The texts that the triples are made from. */
  readonly source: "analysis" | "tuning";
  readonly seed: number;
  readonly limit: number | null;
}

/** Settings with feedback of one of the kinds R and a task of one of the kinds T. */
export type TriplesStageSettings<R = RewardKinds, T = TaskKinds> = TaskOf<R, T> & TriplesSettings;

/** Contrastive triples of the analysis texts, or of the tuning ones. */
export const triplesStage = triplesStageOf(feedback);

/** The same for feedback and tasks of other kinds. */
export function triplesStageOf<R, T>({
  taskOf,
}: Pick<Feedback<R, T>, "taskOf">): Stage<TriplesStageSettings<R, T>, "model" | "texts"> {
  return {
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
}
