/**
 * Experiments as they were written before tuning, sampling and texts had sections of their own: `ppo` held all three, and `tuned` named a model that was tuned
 * already. Files of that form are still read, and keys of stages and calibrations are still made of it, so that runs made before stand as they are.
 */
import { canonicalJson } from "../../runs/canonical-json.ts";
import { keyedSettings, type Tuning } from "../../tuning/tunings.ts";
import { ExperimentError, type ExperimentIssue, issueAt } from "./issues.ts";
import { isObject, type JsonObject, mergeOverrides } from "./merge.ts";
import { experimentPresets, type PresetSettings, presetNames } from "./presets.ts";
import { type Experiment, givenModelOf, tuningOf } from "./schema.ts";

/** Sections that experiment files no longer have, with what says the same. */
export const olderSections = { ppo: ["tuning", "sampling", "text"], tuned: ["tuning"] } as const;

/** What says today what a field of `ppo` said; every other one is a field of `tuning`. */
const movedFields: Readonly<Record<string, readonly (readonly [section: string, field: string])[]>> = {
  promptTokens: [["sampling", "promptTokens"]],
  newTokens: [["sampling", "newTokens"]],
  minTextCharacters: [["sampling", "minTextCharacters"]],
  temperature: [["sampling", "temperature"]],
  prependBos: [["text", "prependBos"]],
  // The comparison's rows were those of tuning.
  batchSize: [
    ["tuning", "batchSize"],
    ["sampling", "rows"],
  ],
  miniBatchSize: [
    ["tuning", "miniBatchSize"],
    ["sampling", "scoredRows"],
  ],
};

/**
 * What a file says, in today's form; a file of today's form is given back as it is. Throws `ExperimentError` where it says something in both forms, and
 * where it has settings of a tuning that does not take place.
 */
export function fromOlderForm(file: JsonObject, preset: PresetSettings, name: string): JsonObject {
  const { ppo, tuned = null, ...rest } = file;
  const issues = [...twofold(file), ...uselessTuning(file, preset)];
  if (issues.length > 0) throw new ExperimentError(name, issues);
  const given = tuned === null ? {} : { tuning: { kind: "given", model: tuned } };
  if (ppo === undefined) return { ...rest, ...given };
  if (!isObject(ppo)) return { ...rest, tuning: ppo, ...given };
  const sections: Record<string, JsonObject> = { tuning: { kind: "ppo" } };
  for (const [older, value] of Object.entries(ppo))
    for (const [section, field] of movedFields[older] ?? [["tuning", older]])
      sections[section] = { ...sections[section], [field]: value };
  return { ...rest, ...sections, ...given };
}

function twofold(file: JsonObject): ExperimentIssue[] {
  return Object.entries(olderSections).flatMap(([section, today]) => {
    const both = file[section] === undefined ? [] : today.filter((name) => file[name] !== undefined);
    const message = `is the older form of ${today.join(", ")}, and the file also has ${both.join(", ")}: leave ${section} out`;
    return both.length === 0 ? [] : [issueAt([section], message, "rule")];
  });
}

/** A setting that nothing would read is a mistake: it would be believed to have had an effect. Complete files repeat their preset's. */
function uselessTuning({ ppo, tuned }: JsonObject, preset: PresetSettings): ExperimentIssue[] {
  if (tuned === undefined || tuned === null || !isObject(ppo)) return [];
  const known = new Map<string, unknown>(Object.entries(preset.tuning));
  const isPresets = (field: string): boolean => {
    const own = known.get(field);
    return (
      own !== undefined &&
      canonicalJson(mergeOverrides(JSON.parse(JSON.stringify(own)), ppo[field] ?? null)) === canonicalJson(own)
    );
  };
  const message = "has no effect, because tuned names a model that is tuned already: leave one of the two out";
  return Object.keys(ppo)
    .filter((field) => movedFields[field] === undefined && !isPresets(field))
    .map((field) => issueAt(["ppo", field], message, "rule"));
}

type Keyed = Readonly<Record<string, unknown>>;

/** What keys the stage that tunes, beside the reward. */
export function keyedTuning(experiment: Experiment, tuning: Tuning): Keyed {
  return { ppo: { ...keyedSettings(tuning), ...keyedSampling(experiment), rewardText: experiment.reward.text } };
}

/** What keys stages that complete prompts: the tuning too, and the rows of a comparison only where they are not the tuning's. */
export function keyedCompletion(experiment: Experiment): Keyed {
  return { ppo: { ...keyedComparison(experiment), rewardText: experiment.reward.text } };
}

/** `tuned` and `ppo` as digests of experiments have them. */
export function keyedSections(experiment: Experiment): Keyed {
  return { tuned: givenModelOf(experiment) ?? null, ppo: keyedComparison(experiment) };
}

function keyedComparison(experiment: Experiment): Keyed {
  const { rows, scoredRows } = experiment.sampling;
  const tuning = tuningOf(experiment);
  const sampling = keyedSampling(experiment);
  // A given model was keyed by what its preset would have tuned with.
  if (tuning === undefined)
    return { ...presetTuning(experiment), ...sampling, batchSize: rows, miniBatchSize: scoredRows };
  const settings = keyedSettings(tuning);
  const others = {
    ...(settings["batchSize"] === rows ? {} : { rows }),
    ...(settings["miniBatchSize"] === scoredRows ? {} : { scoredRows }),
  };
  return { ...settings, ...sampling, ...others };
}

function keyedSampling({ sampling, text }: Experiment): Keyed {
  const { rows: _, scoredRows: __, ...drawn } = sampling;
  return { ...drawn, ...text };
}

function presetTuning({ preset }: Experiment): Keyed {
  const name = presetNames.find((candidate) => candidate === preset);
  const tuning = name === undefined ? undefined : tuningOf(experimentPresets[name].settings);
  return tuning === undefined ? {} : keyedSettings(tuning);
}
