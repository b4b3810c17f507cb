/** Plans the stages of a run on pairs of answers: the settings and inputs of each. */
import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import type { PairTask } from "../tasks/tasks.ts";
import type { PreferenceSettings } from "../tuning/preference-settings.ts";
import { siteSettingOf } from "./experiment/dictionaries-schema.ts";
import { type Experiment, tuningOf } from "./experiment/schema.ts";
import { planClassify, planContrasts } from "./plan-classify.ts";
import { dictionaryInput, findModels, type PlanOptions, planPreparePairs } from "./plan-inputs.ts";
import { type Planned, planAutoencoders, planExamples } from "./plan-measurements.ts";
import { pairsAtOnceOf, preferenceFor } from "./preference-for.ts";
import { factsOf } from "./report/about.ts";
import { installAblations } from "./stages/ablate.ts";
import { ablatePairsStage } from "./stages/ablate-pairs.ts";
import { installAttributions } from "./stages/attribute.ts";
import { attributePairsStage } from "./stages/attribute-pairs.ts";
import { divergenceStage } from "./stages/divergence.ts";
import { evaluatePairsStage } from "./stages/evaluate-pairs.ts";
import { explainPairsStage, installExplanations } from "./stages/explain.ts";
import { type PairReportInput, reportPairsStage } from "./stages/report-pairs.ts";
import { similarityStage } from "./stages/similarity.ts";
import { tunePairsStage } from "./stages/tune-pairs.ts";

/** An experiment whose task is about pairs of answers. */
export type PairExperiment = Experiment & { readonly task: PairTask };

/** The stages of an experiment on pairs, in order. Throws what `planExperiment` throws. */
export async function planPreferences(experiment: PairExperiment, options: PlanOptions): Promise<PlannedStage[]> {
  const { model, given } = await findModels(experiment, options);
  const preference = await preferenceFor(experiment, model.path);
  const texts = await planPreparePairs(experiment, model, preference.tokens, options);
  const tuned = given ?? planTune(experiment, model, texts);
  const evaluate = planEvaluate(experiment, preference, { model, tuned, texts });
  const divergence = planStage({
    id: "divergence",
    stage: divergenceStage,
    settings: experiment.divergence,
    inputs: { model, tuned },
    publishAs: ".",
  });
  const dictionary = await dictionaryInput(experiment, options);
  const planned = { experiment, model, tuned, texts, feedback: {}, divergence, dictionary };
  const autoencoders = planAutoencoders(planned);
  const similarity = planStage({
    id: "similarity",
    stage: similarityStage,
    settings: {},
    inputs: { saes: autoencoders },
  });
  const contrasts = await planContrasts(experiment, texts, options);
  const classified = planClassify(planned, { saes: autoencoders, contrasts });
  const { probe, tunedFeatures: features } = classified;
  const studied = planStudy(planned, preference, { saes: autoencoders, probe });
  const { explain, ablate } = studied;
  const found = {
    texts,
    evaluate,
    divergence,
    autoencoders,
    similarity,
    contrasts,
    features,
    probe,
    explain,
    ablate,
  };
  const report = planReport(experiment, options.run, found);
  const tune = "stage" in tuned ? [tuned] : [];
  return [
    texts,
    ...tune,
    evaluate,
    divergence,
    autoencoders,
    similarity,
    contrasts,
    ...classified.stages,
    ...studied.stages,
    report,
  ];
}

/** What the features are active on and mean, which of them carry the learned preference, and what is lost without them. */
function planStudy(
  planned: Planned & { readonly experiment: PairExperiment },
  preference: PreferenceSettings,
  { saes, probe }: Readonly<Record<"saes" | "probe", PlannedStage>>,
) {
  const { experiment, model, tuned, texts } = planned;
  const { seed, task, text, sae } = experiment;
  const examples = planExamples(planned, saes, probe);
  const explain = planStage({
    id: "explain",
    stage: explainPairsStage,
    settings: { task, ...experiment.explain, seed },
    inputs: { examples, texts },
    install: installExplanations,
  });
  const pairsAtOnce = pairsAtOnceOf(experiment);
  const attribute = planStage({
    id: "attribute",
    stage: attributePairsStage,
    settings: { preference, pairs: experiment.attribute.prompts, pairsAtOnce },
    inputs: { model, tuned, texts, saes, examples },
    install: installAttributions,
  });
  const { prompts: pairs, ...sets } = experiment.ablate;
  const { contextLength } = sae;
  const ablate = planStage({
    id: "ablate",
    stage: ablatePairsStage,
    // Nothing is sampled: more completions would be the same.
    settings: {
      ...sets,
      completions: 1,
      pairs,
      preference,
      prependBos: text.prependBos,
      contextLength,
      pairsAtOnce,
      seed,
    },
    inputs: { model, tuned, texts, saes, examples, explain, attribute },
    install: installAblations,
  });
  return { explain, ablate, stages: [examples, explain, attribute, ablate] };
}

function planTune(experiment: PairExperiment, model: OutsideInput, texts: PlannedStage): PlannedStage | OutsideInput {
  const tuning = tuningOf(experiment);
  // The base model itself: not reached, because an experiment without a tuning names a tuned model.
  if (tuning === undefined) return model;
  const { sampling, text } = experiment;
  return planStage({
    id: "tune",
    stage: tunePairsStage,
    settings: { tuning, sampling, text },
    inputs: { model, texts },
    publishAs: "tuned",
  });
}

function planEvaluate(
  experiment: PairExperiment,
  preference: PreferenceSettings,
  inputs: Pick<Planned, "model" | "tuned" | "texts">,
): PlannedStage {
  const { evaluate } = experiment;
  return planStage({
    id: "evaluate",
    stage: evaluatePairsStage,
    settings: {
      preference,
      isTuned: tuningOf(experiment) !== undefined,
      pairs: evaluate.prompts,
      pairsAtOnce: pairsAtOnceOf(experiment),
    },
    inputs,
  });
}

function planReport(
  experiment: PairExperiment,
  run: string,
  inputs: Readonly<Record<PairReportInput, PlannedStage>>,
): PlannedStage {
  return planStage({
    id: "report",
    stage: reportPairsStage,
    settings: {
      run,
      seed: experiment.seed,
      task: experiment.task,
      ...siteSettingOf(experiment.sae),
      about: factsOf(experiment),
    },
    inputs,
    publishAs: ".",
  });
}
