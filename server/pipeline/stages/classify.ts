import { type ClassificationData, classificationParts, evaluateClassification } from "../../probe/classification.ts";
import type { ClassificationSettings } from "../../probe/classification-types.ts";
import { saveProbe } from "../../probe/format.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { readAnswers } from "../artifacts/collected-answers.ts";
import { readContrasts } from "../artifacts/contrasts.ts";
import { readLogRatios } from "../artifacts/log-ratios.ts";
import { partStore } from "../artifacts/part-store.ts";

export interface ClassifySettings {
  readonly task: string;
  readonly classify: ClassificationSettings;
}

/** `tuned` and `base` are the answers collected from each model; `published` those of the published code. */
type Inputs = "contrasts" | "tuned" | "base" | "logRatios" | "published";

/**
 * Fits the classification probe and compares it with what needs no features; the output is loadable with `loadProbe`.
 */
export const classifyStage: Stage<ClassifySettings, Exclude<Inputs, "published">> = {
  name: "classify",
  codeVersion: 1,
  run: async (context) => fitAndSave(context, await dataOf(context)),
};

/** The same, beside what the published code computes. */
export const classifyAsPublishedStage: Stage<ClassifySettings, Inputs> = {
  name: "classify-as-published",
  codeVersion: 1,
  run: async (context) => {
    const { features: published } = await readAnswers(context.input("published"));
    await fitAndSave(context, { ...(await dataOf(context)), published });
  },
};

type Context<Names extends string> = StageContext<ClassifySettings, Names>;

async function dataOf({ input }: Context<Exclude<Inputs, "published">>): Promise<ClassificationData> {
  const tuned = await readAnswers(input("tuned"));
  const base = await readAnswers(input("base"));
  return {
    contrasts: await readContrasts(input("contrasts")),
    features: tuned.features,
    rawActivations: tuned.activations,
    baseModel: base.features,
    logRatios: await readLogRatios(input("logRatios")),
    tokens: tuned.tokens,
    cut: tuned.cut,
  };
}

async function fitAndSave<Names extends string>(context: Context<Names>, data: ClassificationData): Promise<void> {
  const { settings, output, signal } = context;
  const parts = partStore(context, classificationParts(data, settings.classify).length);
  const { probe, report } = await evaluateClassification(data, settings.classify, parts, signal);
  await saveProbe(output, { probe, report, testTriples: [], about: { task: settings.task } });
}
