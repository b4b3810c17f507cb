/** The head of a report: what the run was made from. */
import { basename } from "node:path";
import { defaultSite, sites } from "../../models/sites.ts";
import { judgedTextOf } from "../../rewards/reward-configs.ts";
import { sparsityRule } from "../../sae/sparsity.ts";
import { type Contrasts, contrastsOf } from "../../tasks/tasks.ts";
import { factsOfTuning } from "../../tuning/tunings.ts";
import { editSettingsOf, rewardSettingsOf } from "../experiment/feedback-settings.ts";
import { type Experiment, givenModelOf, tuningOf } from "../experiment/schema.ts";
import type { TextSource } from "../experiment/sources.ts";
import { sourceOf } from "../feedback.ts";
import type { Fact } from "./document.ts";

/** Number of texts for each purpose. */
export interface TextCounts {
  readonly tuning: number;
  readonly heldOut: number;
  readonly analysis: number;
}

/** Model, tuned checkpoint, data, feedback and the main settings, in words. */
export function factsOf(experiment: Experiment): Fact[] {
  const { preset, model, task } = experiment;
  return [
    { name: "preset", value: preset },
    { name: "model", value: model === "starter" ? "starter, the small model that comes with the program" : model },
    { name: "tuned checkpoint", value: givenModelOf(experiment) ?? `made by this run: ${tuningInWords(experiment)}` },
    ...ownFacts[contrastsOf(task)](experiment),
  ];
}

/** What tasks about words and tasks about pairs have of their own. */
const ownFacts: Readonly<Record<Contrasts, (experiment: Experiment) => Fact[]>> = {
  words: (experiment) => [
    { name: "data", value: textsInWords(experiment.data) },
    ...(experiment.analysis === null
      ? []
      : [{ name: "data of autoencoders and triples", value: textsInWords(experiment.analysis) }]),
    { name: "reward", value: rewardInWords(experiment) },
    { name: "layers", value: layersInWords(experiment) },
    { name: "autoencoders", value: saesInWords(experiment) },
    { name: "probe", value: probeInWords(experiment) },
  ],
  pairs: (experiment) => [
    { name: "data", value: pairsInWords(experiment.data) },
    ...(experiment.analysis === null
      ? []
      : [{ name: "data of autoencoders and contrasts", value: pairsInWords(experiment.analysis) }]),
    { name: "task", value: experiment.task },
    { name: "layers", value: layersInWords(experiment) },
    { name: "autoencoders", value: saesInWords(experiment) },
    { name: "contrasts", value: contrastsInWords(experiment) },
    { name: "probe", value: classifierInWords(experiment) },
  ],
};

const contrastedPairs: Readonly<Record<Experiment["contrasts"]["pairs"], string>> = {
  heldOut: "pairs kept out of tuning (or those of analysis where none are)",
  analysis: "the pairs of analysis",
  tuning: "the pairs tuned on, which the model may remember",
};

function contrastsInWords({ contrasts: { file, pairs, limit, maxTokens } }: Experiment): string {
  const most = limit === null ? "" : `, ${limit} at most`;
  return `${file ?? contrastedPairs[pairs]}${most}; ${maxTokens} tokens of prompt and answer at most`;
}

function classifierInWords({ classify: { folds, strengths } }: Experiment): string {
  return `logistic regression on the tuned model's features, ${folds} folds of prompts, C of ${strengths.join(", ")}`;
}

function pairsInWords({ source, limit }: NonNullable<Experiment["analysis"]>): string {
  return `${sourceInWords(source)}${limit === null ? "" : `, ${limit} pairs at most`}`;
}

/** The facts with the number of texts after the data. */
export function withTextCounts(facts: readonly Fact[], { tuning, heldOut, analysis }: TextCounts): Fact[] {
  const texts = {
    name: "texts",
    value: `${tuning} for tuning, ${heldOut} held out, ${analysis} for autoencoders and triples`,
  };
  const at = facts.findLastIndex(({ name }) => name.startsWith("data")) + 1;
  return [...facts.slice(0, at), texts, ...facts.slice(at)];
}

function textsInWords({ source, field, limit }: NonNullable<Experiment["analysis"]>): string {
  const most = limit === null ? "" : `, ${limit} texts at most`;
  return source === "starter" ? `${sourceInWords(source)}${most}` : `${sourceInWords(source)}, field ${field}${most}`;
}

function sourceInWords(source: TextSource): string {
  if (source === "starter")
    // From assets/starter/README.md.
    return "starter: reviews that were sampled from the starter model itself; people wrote none of them";
  return "file" in source ? source.file : `${source.hub}, split ${source.split}`;
}

function tuningInWords(experiment: Experiment): string {
  const tuning = tuningOf(experiment);
  return tuning === undefined ? "" : factsOfTuning(tuning).inWords;
}

function rewardInWords(experiment: Experiment): string {
  const { reward, task } = experiment;
  const what = { completion: "the completion alone", full: "prompt and completion" } as const;
  const count = editSettingsOf(experiment).edits?.length ?? 0;
  const edited = count === 0 ? "" : `; for tuning, ${count === 1 ? "one rating" : `${count} ratings`} edited`;
  return `${sourceOf(rewardSettingsOf(experiment))}, of ${what[judgedTextOf(reward)]}; task ${task}${edited}`;
}

function layersInWords({ divergence: { layers, choose, measure } }: Experiment): string {
  return typeof layers === "number"
    ? `the ${layers} of ${choose} divergence (${measure})`
    : `${layers.join(", ")}, as named`;
}

function saesInWords({ sae }: Experiment): string {
  if (sae.source !== null)
    return `a dictionary that was trained elsewhere (${basename(sae.source)}), for both models${siteInWords(sae)}`;
  const sparsity = sparsityRule(sae.sparsity).inWords(sae.sparsity);
  const tokens = sae.maxTokens === null ? `${sae.epochs} passes over the texts` : `${sae.maxTokens} tokens at most`;
  return `dictionaries of ${sae.multiples.join(" and ")} times the width${siteInWords(sae)}, ${sae.tied ? "tied" : "untied"}, ${sparsity}, ${tokens}`;
}

/** Nothing of the usual site: the words are a part of the report's key, which runs from before there were sites keep. */
function siteInWords({ site }: Experiment["sae"]): string {
  return site === defaultSite ? "" : `, of the ${sites[site].inWords}`;
}

function probeInWords({ probe }: Experiment): string {
  return `ridge of ${probe.alpha} on the ${probe.model} model's features (${probe.multiToken}, ${probe.normalise}), ${probe.wordFolds} folds of words`;
}
