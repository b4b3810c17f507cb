/**
 * Presets of tasks about pairs of answers: one for a file of one's own, and the paper's (reference/preferences.md 3.5).
 * `paper/*` have the paper's models, data and numbers with today's tokenisation and optimizer; `as-published/*` those of
 * the published code, as far as they can be had (docs/experiment.md lists the rest).
 */

import { type DpoConfig, dpoPresets } from "../../tuning/dpo-config.ts";
import { dictionariesSchema } from "./dictionaries-schema.ts";
import type { ExperimentPreset, PresetSettings } from "./preset-settings.ts";

/** What all presets share; the sections that only tasks about words read. */
type Shared = Pick<
  PresetSettings,
  | "seed"
  | "download"
  | "sampling"
  | "text"
  | "learned"
  | "triples"
  | "probe"
  | "contrasts"
  | "classify"
  | "examples"
  | "explain"
  | "attribute"
  | "ablate"
  | "report"
>;

const common = {
  reward: { kind: "none" },
  divergence: { measure: "mlpOnly", layers: 5, choose: "highest" },
} as const;

/** For a file of one's own; sized for the starter and some hundreds of pairs. */
function ownPairs(shared: Shared): PresetSettings {
  return {
    ...shared,
    ...common,
    model: "starter",
    task: "pairs",
    data: { source: { file: "preferences.jsonl" }, field: "text", limit: null, heldOut: 0.25 },
    analysis: null,
    tuning: dpoPresets.preferences,
    text: { prependBos: true },
    evaluate: { prompts: 512 },
    // A file of some hundreds of pairs is short: the passes end at the tokens, or here.
    sae: dictionariesSchema.parse({ learningRate: 3e-3, batchTokens: 512, maxTokens: 250_000, epochs: 20 }),
    examples: { tokens: 32_768, windowTokens: 16 },
  };
}

/** The models of the paper's preference tasks: autoencoders' coefficient, and what DPO takes of each. */
const models = {
  "pythia-70m": { model: "EleutherAI/pythia-70m", coefficient: 0.001, isGemma: false },
  "pythia-160m": { model: "EleutherAI/pythia-160m", coefficient: 0.001, isGemma: false },
  "gpt-neo-125m": { model: "EleutherAI/gpt-neo-125m", coefficient: 0.015, isGemma: false },
  "gemma-2b-it": { model: "google/gemma-2b-it", coefficient: 0.001, isGemma: true },
} as const;
type ModelName = keyof typeof models;

/** Steps, pairs in a step and learning rate of a task by kind of model. */
const rates = {
  hh: {
    small: { learningRate: 3e-5, batchSize: 8, pairsAtOnce: 8 },
    gemma: { learningRate: 5e-5, batchSize: 16, pairsAtOnce: 1 },
    steps: 5000,
    warmupSteps: 150,
  },
  toxic: {
    small: { learningRate: 5e-5, batchSize: 8, pairsAtOnce: 8 },
    gemma: { learningRate: 5e-5, batchSize: 4, pairsAtOnce: 1 },
    steps: 250,
    warmupSteps: 30,
  },
} as const;
type PaperTask = keyof typeof rates;

const hh = (split: "train" | "test", limit: number | null) =>
  ({ source: { hub: "Anthropic/hh-rlhf", split, config: null }, field: "text", limit }) as const;

/** Data of the paper's tasks. Tuning sees as many pairs of HH as it takes steps' worth: less than one epoch. */
function dataOf(task: PaperTask, pairs: number): Pick<PresetSettings, "task" | "data" | "analysis" | "evaluate"> {
  if (task === "hh")
    return {
      task: "helpful-harmless",
      data: { ...hh("train", pairs), heldOut: 0 },
      analysis: hh("test", null),
      evaluate: { prompts: 500 },
    };
  const source = { hub: "unalignment/toxic-dpo-v0.2", split: "train", config: null };
  // The published code evaluated on 30 of the rows that it tuned on; here those are held out.
  return {
    task: "toxicity",
    data: { source, field: "text", limit: null, heldOut: 54 },
    analysis: null,
    evaluate: { prompts: 54 },
  };
}

function paperTuning(task: PaperTask, isGemma: boolean): DpoConfig {
  const { steps, warmupSteps, small, gemma } = rates[task];
  return { ...dpoPresets.paper, ...(isGemma ? gemma : small), steps, warmupSteps };
}

function paper(shared: Shared, name: ModelName, task: PaperTask): PresetSettings {
  const { model, coefficient, isGemma } = models[name];
  const tuning = paperTuning(task, isGemma);
  return {
    ...shared,
    ...common,
    ...dataOf(task, tuning.steps * tuning.batchSize),
    model,
    tuning,
    sae: dictionariesSchema.parse({
      multiples: [1, 2],
      sparsity: { kind: "l1", coefficient },
      mse: "mean",
      batchTokens: 8192,
      epochs: 3,
      contextLength: 256,
    }),
  };
}

/** The published code's differences, each by its switch. */
function asPublished(settings: PresetSettings, tuning: DpoConfig): PresetSettings {
  return {
    ...settings,
    seed: 42,
    tuning: {
      ...tuning,
      optimizer: "adamw-hf",
      pairs: { from: "data", tokens: { rule: "trl-0.7.7", maxTokens: 256, maxPromptTokens: 128 } },
    },
    divergence: { ...settings.divergence, measure: "sumOfNorms" },
    classify: { ...settings.classify, asPublished: true },
    sae: { ...settings.sae, maskPadding: false, shuffle: false },
  };
}

const aboutTask = {
  hh: "helpful and harmless answers (HH-RLHF)",
  toxic: "toxic answers: harmful data, which is fetched only if the experiment says download",
} as const;

type PaperName = `paper/${ModelName}/${PaperTask}`;
type PublishedName = `as-published/${ModelName}/${PaperTask}`;
export type PreferencePresetName = "preferences" | PaperName | PublishedName;

/** The presets; `shared` are the settings that presets of every task have. */
export function preferencePresets(shared: Shared): Readonly<Record<PreferencePresetName, ExperimentPreset>> {
  const paperOf = (name: ModelName, task: PaperTask): ExperimentPreset => ({
    about: `The paper's DPO on ${aboutTask[task]} with ${models[name].model.split("/")[1]}.`,
    settings: paper(shared, name, task),
  });
  const publishedOf = (name: ModelName, task: PaperTask): ExperimentPreset => ({
    about: `The same with the published code's ways: ${aboutTask[task]} with ${models[name].model.split("/")[1]}.`,
    settings: asPublished(paper(shared, name, task), paperTuning(task, models[name].isGemma)),
  });
  return {
    preferences: {
      about: "Pairs of answers of your own, in preferences.jsonl or another file: DPO, then the whole pipeline.",
      settings: ownPairs(shared),
    },
    "paper/pythia-70m/hh": paperOf("pythia-70m", "hh"),
    "paper/pythia-160m/hh": paperOf("pythia-160m", "hh"),
    "paper/gpt-neo-125m/hh": paperOf("gpt-neo-125m", "hh"),
    "paper/gemma-2b-it/hh": paperOf("gemma-2b-it", "hh"),
    "paper/pythia-70m/toxic": paperOf("pythia-70m", "toxic"),
    "paper/pythia-160m/toxic": paperOf("pythia-160m", "toxic"),
    "paper/gpt-neo-125m/toxic": paperOf("gpt-neo-125m", "toxic"),
    "paper/gemma-2b-it/toxic": paperOf("gemma-2b-it", "toxic"),
    "as-published/pythia-70m/hh": publishedOf("pythia-70m", "hh"),
    "as-published/pythia-160m/hh": publishedOf("pythia-160m", "hh"),
    "as-published/gpt-neo-125m/hh": publishedOf("gpt-neo-125m", "hh"),
    "as-published/gemma-2b-it/hh": publishedOf("gemma-2b-it", "hh"),
    "as-published/pythia-70m/toxic": publishedOf("pythia-70m", "toxic"),
    "as-published/pythia-160m/toxic": publishedOf("pythia-160m", "toxic"),
    "as-published/gpt-neo-125m/toxic": publishedOf("gpt-neo-125m", "toxic"),
    "as-published/gemma-2b-it/toxic": publishedOf("gemma-2b-it", "toxic"),
  };
}
