/**
 * The experiment: all settings of a run. Each field's description is its documentation: docs/experiment.md and the
 * editor's hovers are generated from it. Sections that belong to one module are defined there.
 */

import { z } from "zod";
import type { ClassificationSettings } from "../../probe/classification-types.ts";
import type { ProbeSettings } from "../../probe/report-types.ts";
import { rewardEditIssues } from "../../rewards/edits-config.ts";
import { editsOf, rewardSchemas } from "../../rewards/reward-configs.ts";
import type { DivergenceMeasure } from "../../sae/divergence.ts";
import type { TripleSettings } from "../../tasks/sentiment/triples.ts";
import type { PairTask, WordTask } from "../../tasks/tasks.ts";
import { type PreferenceSettings, plainPreference } from "../../tuning/preference-settings.ts";
import { SamplingConfig, TextConfig } from "../../tuning/sampling-config.ts";
import { factsOfTuning, type Tuning, tuningSchemas } from "../../tuning/tunings.ts";
import { ratingsOf } from "../feedback.ts";
import { classifySchema, contrastsSchema } from "./classify-schema.ts";
import { dictionariesSchema } from "./dictionaries-schema.ts";
import { ablateSchema, attributeSchema, examplesSchema, explainSchema, MOST_PROMPTS } from "./measurement-schema.ts";
import { pairIssues } from "./pair-rules.ts";
import { learnedSchema, probeSchema, triplesSchema } from "./probe-schema.ts";
import { textsFields } from "./sources.ts";

/** Valid names of a run's folder. */
export const runName = /^[a-z0-9][a-z0-9-]{0,63}$/;

const dataSchema = z
  .strictObject({
    ...textsFields,
    heldOut: z
      .number()
      .nonnegative()
      .refine((value) => value < 1 || Number.isInteger(value), { error: "must be a share below 1 or a whole number" })
      .describe(
        "Texts kept out of tuning, whose beginnings the base and the tuned model are compared on: a share below 1, or a number. " +
          "0: none, and the analysis texts serve. Of pairs, all of a prompt are kept out or none.",
      ),
  })
  .readonly()
  .describe("The texts whose beginnings are the prompts of tuning, or the pairs of answers to tune on.");

const analysisSchema = z
  .strictObject(textsFields)
  .readonly()
  .nullable()
  .describe("Other texts or pairs for autoencoders and contrasts, such as a test split; null: all of data.");

const rewardSchema = z.discriminatedUnion("kind", rewardSchemas).describe("The feedback.");

const givenSchema = z
  .strictObject({
    kind: z.literal("given").describe("The tuned model is there already; nothing is tuned."),
    model: z
      .string()
      .min(1)
      .describe(
        "A fine-tuned checkpoint of the base model's architecture, given as model is, or a folder of adapters (PEFT).",
      ),
  })
  .readonly();

const tuningSchema = z
  .discriminatedUnion("kind", [...tuningSchemas, givenSchema])
  .describe("How the tuned model comes about.");

const divergenceSchema = z
  .strictObject({
    measure: z
      .enum(["sumOfNorms", "jointL2", "mlpOnly", "relative"] satisfies DivergenceMeasure[])
      .describe(
        "How far a layer moved: the sum of its tensors' L2 distances (the published code), the L2 distance of all its parameters, that of its " +
          "MLP's parameters, or the distance over the parameters' own norm.",
      ),
    layers: z
      .union([z.int().positive().max(4096), z.array(z.int().nonnegative().max(4096)).min(1).max(4096)])
      .refine((layers) => typeof layers === "number" || new Set(layers).size === layers.length, {
        error: "names a layer twice",
      })
      .describe("How many layers to study, or which ones, counted from 0."),
    choose: z
      .enum(["highest", "lowest"])
      .describe(
        "Whether the layers that moved most or least are studied, where layers is a number (the paper's Table 12 compares both).",
      ),
  })
  .readonly()
  .describe("Which layers are studied.");

const evaluateSchema = z
  .strictObject({
    prompts: z
      .int()
      .positive()
      .max(MOST_PROMPTS)
      .describe("Held-out prompts, at most, that both models complete; held-out pairs, at most, that they score."),
  })
  .readonly()
  .describe("The comparison of the tuned model's reward with the base model's.");

const reportSchema = z
  .strictObject({
    samples: z.int().nonnegative().max(10_000).describe("Completions of both models that the report shows."),
    words: z
      .int()
      .nonnegative()
      .max(1_000_000)
      .describe("Words of the reconstructed lexicon that the report's table shows (30 in the paper's Table 9)."),
  })
  .readonly()
  .describe("What the report shows.");

/** Every field of an experiment, each section complete. */
export const experimentFields = z.strictObject({
  preset: z.string().describe("The settings that hold where the file says nothing else."),
  name: z
    .string()
    .regex(runName, { error: "lower-case letters, digits and hyphens, 64 at most, no hyphen first" })
    .describe("Name of the run's folder: lower-case letters, digits and hyphens."),
  seed: z.int().min(0).max(0xffff_ffff).describe("Decides every random draw of the run."),
  model: z
    .string()
    .min(1)
    .describe(
      "The base model: a folder (./ and ../ are relative to the experiment file), a hub id owner/name[@revision], or starter.",
    ),
  download: z
    .boolean()
    .describe(
      "Whether models and data sets that are not in the Hugging Face cache may be downloaded; nothing is otherwise.",
    ),
  task: z
    .enum(["sentiment", "helpful-harmless", "toxicity", "pairs"] satisfies (WordTask | PairTask)[])
    .describe(
      "What the feedback is about. sentiment: words, by a reward; helpful-harmless, toxicity and pairs (your own): pairs of answers, " +
        "in data whose rows have chosen, rejected and mostly prompt.",
    ),
  data: dataSchema,
  analysis: analysisSchema,
  reward: rewardSchema,
  tuning: tuningSchema,
  sampling: SamplingConfig.describe(
    "How texts become prompts and prompts completions, in tuning and wherever models are compared.",
  ),
  text: TextConfig.describe("How the models read texts."),
  evaluate: evaluateSchema,
  divergence: divergenceSchema,
  sae: dictionariesSchema.describe("Sparse autoencoders."),
  learned: learnedSchema,
  triples: triplesSchema,
  probe: probeSchema,
  contrasts: contrastsSchema,
  classify: classifySchema,
  examples: examplesSchema,
  explain: explainSchema,
  attribute: attributeSchema,
  ablate: ablateSchema,
  report: reportSchema,
});

/** An experiment whose fields are also consistent with one another. */
export const experimentSchema = experimentFields.superRefine(checkTogether).readonly();

/** A complete experiment, from which the stages get their settings. */
export type Experiment = z.output<typeof experimentSchema>;

/** The settings of triples as the task takes them. */
export function tripleSettingsOf({ triples }: Pick<Experiment, "triples">): TripleSettings {
  const { texts: _, limit: __, ...settings } = triples;
  return settings;
}

/** The settings of the probe's fit and statistics. */
export function probeSettingsOf({ probe, seed }: Pick<Experiment, "probe" | "seed">): ProbeSettings {
  const { model: _, multiToken: __, ...settings } = probe;
  return { ...settings, seed, target: "deltas" };
}

/**
 * The same probe fitted to log-ratios. Without the controls that have labels of their own: their results are the same
 * as for the deltas.
 */
export function fittedSettingsOf(experiment: Pick<Experiment, "probe" | "seed">): ProbeSettings {
  return { ...probeSettingsOf(experiment), target: "logRatio", xavierSeeds: 0, labelShuffles: 0 };
}

/** The settings of the classification probe's fit and statistics. */
export function classificationSettingsOf({
  classify,
  seed,
}: Pick<Experiment, "classify" | "seed">): ClassificationSettings {
  const { asPublished: _, strengths, ...settings } = classify;
  return { ...settings, strengths: [...strengths], seed };
}

/** The tuning that the run does; undefined where the tuned model is given. */
export function tuningOf({ tuning }: Pick<Fields, "tuning">): Tuning | undefined {
  return tuning.kind === "given" ? undefined : tuning;
}

/** The given tuned model; undefined if the run makes it. */
export function givenModelOf({ tuning }: Pick<Fields, "tuning">): string | undefined {
  return tuning.kind === "given" ? tuning.model : undefined;
}

/** How a run scores pairs: as its tuning does, or plainly where the tuned model is given. */
export function preferenceOfTuning(experiment: Pick<Fields, "tuning">): PreferenceSettings {
  const tuning = tuningOf(experiment);
  return (tuning === undefined ? null : factsOfTuning(tuning).preference) ?? plainPreference;
}

/** Number of held-out texts among `texts` for `data.heldOut`; a share holds out at least one. */
export function heldOutCount(heldOut: number, texts: number): number {
  return heldOut > 0 && heldOut < 1 ? Math.max(1, Math.floor(heldOut * texts)) : heldOut;
}

type Fields = z.output<typeof experimentFields>;

function checkTogether(experiment: Fields, context: z.RefinementCtx<Fields>): void {
  const { data, analysis, reward, sae, model } = experiment;
  const [tuning, given] = [tuningOf(experiment), givenModelOf(experiment)];
  const object = (path: readonly PropertyKey[], message: string): void => {
    context.addIssue({ code: "custom", path: [...path], message });
  };
  if (data.heldOut === 0 && analysis === null) {
    object(
      ["data", "heldOut"],
      "must be more than 0 where analysis is null: the models have to be compared on texts that tuning did not see",
    );
  }
  if (data.limit !== null) {
    const forTuning = data.limit - heldOutCount(data.heldOut, data.limit);
    if (forTuning <= 0) object(["data", "heldOut"], `leaves none of the ${data.limit} texts of data.limit to tune on`);
    else if (tuning !== undefined && forTuning < factsOfTuning(tuning).fewestTexts.count) {
      object(
        ["tuning", factsOfTuning(tuning).fewestTexts.field],
        `is more than the ${forTuning} texts that data.limit and data.heldOut leave to tune on`,
      );
    }
  }
  for (const { path, message } of rewardEditIssues(editsOf(reward), ratingsOf(reward)))
    object(["reward", "edits", ...path], message);
  if (given !== undefined && editsOf(reward).length > 0)
    object(
      ["reward", "edits"],
      "have no effect, because tuning names a model that is tuned already: leave one of the two out",
    );
  for (const { path, message } of pairIssues(experiment)) object(path, message);
  if (given === model) object(["tuning", "model"], "is the base model itself: there is nothing to compare");
  const studied = experiment.divergence.layers;
  if (sae.source !== null && (typeof studied === "number" || studied.length !== 1))
    object(["divergence", "layers"], "must name the one layer that the dictionary of sae.source encodes, as in [3]");
  if (sae.batchTokens > sae.bufferTokens)
    object(["sae", "batchTokens"], `must not be more than sae.bufferTokens, ${sae.bufferTokens}`);
}
