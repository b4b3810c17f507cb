/**
 * The older form of experiments, before tuning, sampling and texts had sections of their own: `ppo` held all three, and
 * `tuned` named a model that was tuned already. Files in that form are still read, and keys of stages and calibrations
 * are still computed from it, so that earlier runs stay valid.
 */
import { judgedTextOf } from "../../rewards/reward-configs.ts";
import { canonicalJson } from "../../runs/canonical-json.ts";
import { keyedSettings, type Tuning } from "../../tuning/tunings.ts";
import { ExperimentError, type ExperimentIssue, issueAt } from "./issues.ts";
import { isObject, type JsonObject, mergeOverrides } from "./merge.ts";
import { experimentPresets, type PresetSettings, presetNames } from "./presets.ts";
import { type Experiment, givenModelOf, tuningOf } from "./schema.ts";

/** Deprecated sections of experiment files, with the sections that replace them. */
export const olderSections = { ppo: ["tuning", "sampling", "text"], tuned: ["tuning"] } as const;

/** The fields that replace a field of `ppo`; the fields not listed moved to `tuning`. */
const movedFields: Readonly<Record<string, readonly (readonly [section: string, field: string])[]>> = {
  promptTokens: [["sampling", "promptTokens"]],
  newTokens: [["sampling", "newTokens"]],
  minTextCharacters: [["sampling", "minTextCharacters"]],
  temperature: [["sampling", "temperature"]],
  prependBos: [["text", "prependBos"]],
  // The comparison used tuning's rows.
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
 * Converts a file to the current form; returns a file in the current form unchanged. Throws `ExperimentError` if the
 * file sets something in both forms, or has settings of a tuning that does not take place.
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

/**
 * Rejects settings that nothing would read: the author would believe them to have an effect. Complete files repeat
 * their preset's, which is allowed.
 */
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

/** The tuning stage's part of its key, apart from the reward. */
export function keyedTuning(experiment: Experiment, tuning: Tuning): Keyed {
  return {
    ppo: { ...keyedSettings(tuning), ...keyedSampling(experiment), rewardText: judgedTextOf(experiment.reward) },
  };
}

/**
 * The key of stages that complete prompts: includes the tuning, and a comparison's rows only if they differ from the
 * tuning's.
 */
export function keyedCompletion(experiment: Experiment): Keyed {
  return { ppo: { ...keyedComparison(experiment), rewardText: judgedTextOf(experiment.reward) } };
}

/** `tuned` and `ppo` in the form that digests of experiments use. */
export function keyedSections(experiment: Experiment): Keyed {
  return { tuned: givenModelOf(experiment) ?? null, ppo: keyedComparison(experiment) };
}

function keyedComparison(experiment: Experiment): Keyed {
  const { rows, scoredRows } = experiment.sampling;
  const tuning = tuningOf(experiment);
  const sampling = keyedSampling(experiment);
  // A given model's key contained its preset's tuning.
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
