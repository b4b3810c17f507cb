/** The stages of a run that measure what tuning changed, and explain it. */
import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import { descriptionOf } from "../tasks/tasks.ts";
import { siteSettingOf, trainingOf } from "./experiment/dictionaries-schema.ts";
import { rewardSettingsOf, taskSettingsOf } from "./experiment/feedback-settings.ts";
import { type Experiment, fittedSettingsOf, probeSettingsOf } from "./experiment/schema.ts";
import { completionStageSettings } from "./experiment/tuning-settings.ts";
import { ablateStage, installAblations } from "./stages/ablate.ts";
import { adoptDictionaryStage } from "./stages/adopt-dictionary.ts";
import { attributeStage, installAttributions } from "./stages/attribute.ts";
import { autoencodersStage } from "./stages/autoencoders.ts";
import { collectStage } from "./stages/collect.ts";
import { examplesStage, installFeatures } from "./stages/examples.ts";
import { explainStage, installExplanations } from "./stages/explain.ts";
import { learnedStage } from "./stages/learned.ts";
import { logRatioStage } from "./stages/log-ratio.ts";
import { fittedStage, probeStage } from "./stages/probe.ts";
import { triplesStage } from "./stages/triples.ts";

export function planExplain({ experiment }: Planned, examples: PlannedStage): PlannedStage {
  return planStage({
    id: "explain",
    stage: explainStage,
    settings: { ...taskSettingsOf(experiment), ...experiment.explain, seed: experiment.seed },
    inputs: { examples },
    install: installExplanations,
  });
}

export interface Planned {
  readonly experiment: Experiment;
  readonly model: OutsideInput;
  readonly tuned: OutsideInput | PlannedStage;
  readonly texts: PlannedStage;
  /** Files whose contents decide the feedback. */
  readonly feedback: Readonly<Record<string, OutsideInput>>;
  readonly divergence: PlannedStage;
  /** A dictionary of others that takes the place of training. */
  readonly dictionary: OutsideInput | undefined;
}

export function planLearned({ experiment, model, tuned, texts }: Planned): PlannedStage {
  return planStage({
    id: "learned",
    stage: learnedStage,
    settings: { reward: rewardSettingsOf(experiment), ...experiment.learned, prependBos: experiment.text.prependBos },
    inputs: { model, tuned, texts },
    publishAs: "learned",
  });
}

export function planAutoencoders({ experiment, dictionary, model, tuned, texts, divergence }: Planned): PlannedStage {
  const { sae } = experiment;
  const shared = {
    prependBos: experiment.text.prependBos,
    modelName: experiment.model.split("/").at(-1) ?? experiment.model,
    qualityTexts: 48,
  };
  const inputs = { model, tuned, texts, divergence };
  const placed = { id: "autoencoders", publishAs: "sae" };
  if (dictionary === undefined)
    return planStage({
      ...placed,
      stage: autoencodersStage,
      settings: { sae: trainingOf(sae), ...shared, ...siteSettingOf(sae) },
      inputs,
    });
  const settings = { contextLength: sae.contextLength, ...shared, ...siteSettingOf(sae) };
  return planStage({ ...placed, stage: adoptDictionaryStage, settings, inputs: { ...inputs, dictionary } });
}

export function planProbe({ experiment, model, tuned, texts }: Planned, saes: PlannedStage) {
  const { seed, text } = experiment;
  const feedback = taskSettingsOf(experiment);
  const { texts: source, limit } = experiment.triples;
  const triples = planStage({
    id: "triples",
    stage: triplesStage,
    settings: { ...feedback, source, seed, limit },
    inputs: { model, texts },
  });
  const collect = (dictionaries: "base" | "tuned"): PlannedStage => {
    const read = dictionaries === "base" || experiment.probe.model === "base" ? model : tuned;
    return planStage({
      id: `collect-${dictionaries}`,
      stage: collectStage,
      settings: { dictionaries, multiToken: experiment.probe.multiToken, prependBos: text.prependBos },
      inputs: { model: read, tokenizer: model, saes, triples },
    });
  };
  const [base, tunedFeatures] = [collect("base"), collect("tuned")];
  const read = { texts, triples, tuned: tunedFeatures, base };
  const probe = planStage({
    id: "probe",
    stage: probeStage,
    settings: { ...feedback, probe: probeSettingsOf(experiment) },
    inputs: { ...read, model },
    publishAs: "probe",
  });
  const logRatios = planStage({
    id: "log-ratio",
    stage: logRatioStage,
    settings: { prependBos: text.prependBos },
    inputs: { model, tuned, triples },
  });
  const fitted = planStage({
    id: "fitted",
    stage: fittedStage,
    settings: { ...feedback, probe: fittedSettingsOf(experiment) },
    inputs: { ...read, model, logRatios },
    publishAs: "fitted",
  });
  return { triples, base, tunedFeatures, probe, logRatios, fitted };
}

export function planAttribute(
  { experiment, model, tuned, texts, feedback }: Planned,
  { saes, examples }: Readonly<Record<"saes" | "examples", PlannedStage>>,
): PlannedStage {
  return planStage({
    id: "attribute",
    stage: attributeStage,
    ...completionStageSettings(experiment, { reward: rewardSettingsOf(experiment), ...experiment.attribute }),
    inputs: { model, tuned, texts, saes, examples, ...feedback },
    install: installAttributions,
  });
}

type AblationInput = "saes" | "triples" | "collected" | "probe" | "examples" | "explain" | "attribute";

export function planAblate(
  { experiment, model, tuned, texts, feedback }: Planned,
  made: Readonly<Record<AblationInput, PlannedStage>>,
): PlannedStage {
  const { sae, probe, seed } = experiment;
  return planStage({
    id: "ablate",
    stage: ablateStage,
    ...completionStageSettings(experiment, {
      reward: rewardSettingsOf(experiment),
      contextLength: sae.contextLength,
      multiToken: probe.multiToken,
      ...experiment.ablate,
      seed,
    }),
    inputs: { model, tuned, texts, ...made, ...feedback },
    install: installAblations,
  });
}

export function planExamples(
  { experiment, model, tuned, texts }: Planned,
  saes: PlannedStage,
  probe: PlannedStage,
): PlannedStage {
  return planStage({
    id: "examples",
    stage: examplesStage,
    settings: {
      ...experiment.examples,
      contextLength: experiment.sae.contextLength,
      prependBos: experiment.text.prependBos,
      task: descriptionOf(experiment.task),
    },
    inputs: { model, tuned, texts, saes, probe },
    install: installFeatures,
  });
}
