import { type WordReadingSettings, wordReadings } from "../../probe/word-readings.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { readCollected } from "../artifacts/collected.ts";
import { writeJson } from "../artifacts/json-files.ts";
import { readLogRatios } from "../artifacts/log-ratios.ts";
import { readTriples } from "../artifacts/triples.ts";
import { readingsFile, readingsSchema } from "../artifacts/word-readings.ts";
import { type TaskSettings, taskOf } from "../feedback.ts";

export interface WordReadingStageSettings extends TaskSettings {
  readonly probe: WordReadingSettings;
}

type Context<Names extends string> = StageContext<WordReadingStageSettings, Names>;

/** Reads every word by probes of one model's features. */
export const wordReadingsStage: Stage<WordReadingStageSettings, "triples" | "features"> = {
  name: "word-readings",
  codeVersion: 1,
  run: (context) => write(context, undefined),
};

/** The same, with the readings of the fit to log-ratios. */
export const fittedReadingsStage: Stage<WordReadingStageSettings, "triples" | "features" | "logRatios"> = {
  name: "word-readings",
  codeVersion: 1,
  run: async (context) => write(context, await readLogRatios(context.input("logRatios"))),
};

async function write<Names extends string>(
  { settings, input, output, progress, signal }: Context<Names | "triples" | "features">,
  logRatios: Float32Array | undefined,
): Promise<void> {
  const { features } = await readCollected(input("features"));
  const found = await wordReadings(
    {
      triples: await readTriples(input("triples")),
      ratings: taskOf(settings).ratings,
      features,
      ...(logRatios === undefined ? {} : { logRatios }),
    },
    settings.probe,
    signal,
  );
  const plain = (values: ReadonlyMap<string, number>): Record<string, number> => Object.fromEntries(values);
  const { byTriple, byWord: unseen, fitted } = found;
  const readings = { byTriple: plain(byTriple), byWord: plain(unseen), fitted: plain(fitted) };
  await writeJson(output, readingsFile, readingsSchema.parse(readings));
  progress(1, 1, "probes");
}
