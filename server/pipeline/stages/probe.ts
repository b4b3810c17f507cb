import { readTokenEmbeddings } from "../../models/token-embeddings.ts";
import { loadTokenizer } from "../../models/tokenizer.ts";
import { saveProbe } from "../../probe/format.ts";
import { openPartThreads } from "../../probe/part-threads.ts";
import type { ProbeData } from "../../probe/probe-data.ts";
import { evaluateProbe, partsOf } from "../../probe/regression.ts";
import type { ProbeSettings } from "../../probe/report-types.ts";
import { staticEmbeddings } from "../../probe/static-embedding.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { countWords } from "../../tasks/sentiment/word-counts.ts";
import { readCollected } from "../artifacts/collected.ts";
import { readJsonLines } from "../artifacts/json-files.ts";
import { readLogRatios } from "../artifacts/log-ratios.ts";
import { partStore } from "../artifacts/part-store.ts";
import { sourceText, tuningTexts } from "../artifacts/texts.ts";
import { readTriples } from "../artifacts/triples.ts";
import { type TaskSettings, taskOf } from "../feedback.ts";

export interface ProbeStageSettings extends TaskSettings {
  readonly probe: ProbeSettings;
}

/** `model` is the base model; `tuned` and `base` are the features collected from each model. */
type Inputs = "texts" | "triples" | "tuned" | "base" | "model";
type Context<Names extends string> = StageContext<ProbeStageSettings, Names>;

/** Fits the probe and compares it with its controls; the output is loadable with `loadProbe`. */
export const probeStage: Stage<ProbeStageSettings, Inputs> = {
  name: "probe",
  codeVersion: 4,
  run: async (context) => fitAndSave(context, await dataOf(context)),
};

/** The same, with the log-ratio of each word as the target. */
export const fittedStage: Stage<ProbeStageSettings, Inputs | "logRatios"> = {
  name: "fitted",
  codeVersion: 2,
  run: async (context) => {
    const logRatios = await readLogRatios(context.input("logRatios"));
    await fitAndSave(context, { ...(await dataOf(context)), logRatios });
  },
};

async function dataOf({ settings, input }: Context<Inputs>): Promise<ProbeData> {
  const tuned = await readCollected(input("tuned"));
  const base = await readCollected(input("base"));
  const texts = await readJsonLines(input("texts"), tuningTexts, sourceText);
  const triples = await readTriples(input("triples"));
  const tokenizer = await loadTokenizer(input("model"));
  return {
    triples,
    ratings: taskOf(settings).ratings,
    features: tuned.features,
    rawActivations: tuned.activations,
    baseModel: base.features,
    staticEmbedding: staticEmbeddings(triples, await readTokenEmbeddings(input("model")), tokenizer),
    tuningCounts: countWords(texts.map(({ text }) => text)),
  };
}

async function fitAndSave<Names extends string>(context: Context<Names>, data: ProbeData): Promise<void> {
  const { settings, output } = context;
  const parts = partStore(context, partsOf(data, settings.probe).length);
  using threads = openPartThreads(data, settings.probe, { parts, signal: context.signal });
  const { report, probe, testTriples, wordFolds, familiarity } = await evaluateProbe(
    data,
    settings.probe,
    parts,
    context.signal,
    threads.run,
  );
  await saveProbe(output, {
    probe,
    report,
    testTriples,
    wordFolds,
    familiarity,
    about: { task: settings.task, lexicon: taskOf(settings).ratings.lexicon },
  });
}
