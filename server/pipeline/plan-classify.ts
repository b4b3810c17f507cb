/** The stages of a run on pairs that contrast liked and disliked answers and classify them. */
import { stat } from "node:fs/promises";
import { summaryOf } from "../grading/summary.ts";
import { type PlannedStage, planStage } from "../runs/stage.ts";
import { outsideInput } from "../runs/stage-key.ts";
import { MissingDataFileError } from "./experiment/inputs.ts";
import { classificationSettingsOf, type Experiment } from "./experiment/schema.ts";
import type { PlanOptions } from "./plan-inputs.ts";
import type { Planned } from "./plan-measurements.ts";
import { classifyAsPublishedStage, classifyStage } from "./stages/classify.ts";
import { collectAnswersStage } from "./stages/collect-answers.ts";
import { contrastsStage, givenContrastsStage } from "./stages/contrasts.ts";
import { answerLogRatioStage } from "./stages/log-ratio.ts";

/** The contrasts of the run's pairs or of a file. Throws `MissingDataFileError`. */
export async function planContrasts(
  { contrasts: { file, pairs, limit }, seed }: Experiment,
  texts: PlannedStage,
  { signal }: Pick<PlanOptions, "signal">,
): Promise<PlannedStage> {
  if (file === null)
    return planStage({ id: "contrasts", stage: contrastsStage, settings: { pairs, limit, seed }, inputs: { texts } });
  if (!(await isFile(file))) throw new MissingDataFileError(file);
  const isGraded = await isFile(summaryOf(file));
  const given = await outsideInput(file, { signal });
  return planStage({
    id: "contrasts",
    stage: givenContrastsStage,
    settings: { limit, seed, isGraded },
    inputs: { texts, file: given, summary: isGraded ? await outsideInput(summaryOf(file), { signal }) : given },
  });
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true;
}

/** Features of both models and log-ratios at the answers, and the probe that they are classified by. */
export function planClassify(
  { experiment, model, tuned }: Planned,
  { saes, contrasts }: Readonly<Record<"saes" | "contrasts", PlannedStage>>,
) {
  const { classify, text, task } = experiment;
  const { maxTokens } = experiment.contrasts;
  const { prependBos } = text;
  const collect = (id: string, dictionaries: "base" | "tuned", reads: "answers" | "published"): PlannedStage =>
    planStage({
      id,
      stage: collectAnswersStage,
      settings: { dictionaries, reads, prependBos, maxTokens },
      inputs: { model: dictionaries === "base" ? model : tuned, tokenizer: model, saes, contrasts },
    });
  const base = collect("collect-base", "base", "answers");
  const tunedFeatures = collect("collect-tuned", "tuned", "answers");
  const logRatios = planStage({
    id: "log-ratio",
    stage: answerLogRatioStage,
    settings: { prependBos, maxTokens },
    inputs: { model, tuned, contrasts },
  });
  const settings = { task, classify: classificationSettingsOf(experiment) };
  const inputs = { contrasts, tuned: tunedFeatures, base, logRatios };
  const published = classify.asPublished ? collect("as-published", "tuned", "published") : undefined;
  const probe =
    published === undefined
      ? planStage({ id: "probe", stage: classifyStage, settings, inputs, publishAs: "probe" })
      : planStage({
          id: "probe",
          stage: classifyAsPublishedStage,
          settings,
          inputs: { ...inputs, published },
          publishAs: "probe",
        });
  const stages = [base, tunedFeatures, logRatios, ...(published === undefined ? [] : [published]), probe];
  return { stages, tunedFeatures, probe };
}
