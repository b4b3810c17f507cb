import { basename, dirname, join } from "node:path";
import { LfpError } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import { experimentDigest, readOwnCalibration, saveCalibration } from "../pipeline/artifacts/calibration-file.ts";
import type { CalibrationOptions } from "../pipeline/calibration-options.ts";
import { loadExperiment } from "../pipeline/experiment/resolve.ts";
import { tuningOf } from "../pipeline/experiment/schema.ts";
import { type ExperimentRun, findExperimentRun, openExperimentRun } from "../pipeline/experiment-run.ts";
import { type CalibrationPlan, planCalibration } from "../pipeline/plan-calibration.ts";
import { type Calibration, ReadingName } from "../protocol/calibration.ts";
import { placeKinds } from "../runs/executor-settings.ts";
import type { RunOutcome } from "../runs/run.ts";
import { runPaths } from "../runs/run-folder.ts";
import { describeState } from "../runs/state-words.ts";
import { factsOfTuning } from "../tuning/tunings.ts";
import { openPart, runParts } from "./calibrate-parts.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import { outcomeResult, RunFailedError, type RunIo, runDeviceOption, runStages, seedOf } from "./experiment-run.ts";
import { atMostOption } from "./many-runs.ts";
import { type Options, option } from "./options.ts";
import { readReport } from "./report.ts";
import { existingRun } from "./status.ts";

const options = {
  sets: option.integer("tunings with planted words", 5, { min: 0, max: 100 }),
  "words-per-set": option.integer("words that are planted in each", 10, { min: 1 }),
  factor: option.number("what the planted words' ratings are multiplied with: -1 flips them, 1 plants nothing", -1, {
    max: 1,
  }),
  met: option.integer(
    "how often each tuning must be expected to sample a word for it to be planted: what it never met it cannot learn",
    10,
    { min: 0 },
  ),
  nulls: option.integer("tunings without planted words, whose flags are chance", 2, { min: 0, max: 100 }),
  seeds: option.text(
    "LIST",
    "seeds of the tunings, such as 1,2,3: those with planted words first (default: the experiment's and those after it)",
  ),
  steps: option.text("N", "steps of tuning instead of the experiment's; 0 tunes nothing"),
  out: option.text("DIR", "the calibration's folder (default runs/NAME-calibration, with the experiment's name)"),
  into: option.text(
    "RUN",
    "a run that is to have a copy (default: the experiment's own run beside the calibration's folder, where there is one)",
  ),
  device: runDeviceOption,
  on: option.choice(
    "WHERE",
    "what runs the tunings, with the settings of your executors.json (docs/cluster.md); Ctrl-C leaves a cluster's jobs alone",
    placeKinds,
    "local",
  ),
  "at-most": atMostOption,
  only: option.text(
    "PART",
    "compute one part of the calibration, by itself and here: base, or a tuning such as set1 or null2, in DIR/PART",
  ),
  download: option.flag("fetch models and data sets that are not in the Hugging Face cache"),
} satisfies Options;

/** The target run of a calibration belongs to another experiment. */
export class OtherExperimentError extends LfpError {
  readonly code = "usage";

  constructor(run: string, experiment: string) {
    super(
      `${run} is a run of other settings than ${experiment}: what is measured in models tuned like this says nothing of it. ` +
        "Calibrate the run's own experiment.json, or leave --into out.",
    );
  }
}

export const calibrate = defineCommand({
  usage: "EXPERIMENT [options]",
  about:
    "Measures how far each reading of what a model learned can be trusted: tunes the model several times on a reward that rates some words otherwise " +
    "(planted words), and some times on the reward as it is; then sees which reading finds the planted words, how surely, and what else it flags. EXPERIMENT is a " +
    "file or a preset. Its calibration.json goes into the experiment's run, where report and editor show it. Every tuning is a run of its own in the calibration's folder. " +
    "What is finished is not done again: the same command goes on where it was stopped.",
  options,
  positionals: ["EXPERIMENT"],
  run: async (given): Promise<CommandResult> => {
    const { options: chosen, positionals } = given;
    const asked = calibrationOptions(chosen);
    const { out, download, only, on, "at-most": atMost } = chosen;
    const reference = positionals[0] ?? "";
    const where = { out, download, ...(out === undefined ? { suffix: "-calibration" } : {}) };
    if (only !== undefined) return await onePart(only, await findExperimentRun(reference, where), given);
    const run = await openExperimentRun(reference, where);
    const target = await targetOf(run, chosen.into, asked);
    const plan = await planOf(run, given);
    const parts = await runParts(run, plan, { on, atMost, asked }, ioOf(given));
    if ("stopped" in parts) return parts.stopped;
    const outcome = await runStages(run, ioOf(given), { only: plan.stages, chosen: parts.device });
    return resultOf(run, outcome, target);
  },
});

type GivenCalibrate = Given<typeof options>;

function ioOf({ signal, note, env, options: { device } }: GivenCalibrate): RunIo {
  return { signal, note, env, device };
}

async function planOf(
  { experiment, folder }: Pick<ExperimentRun, "experiment" | "folder">,
  { options: chosen, signal, note }: GivenCalibrate,
): Promise<CalibrationPlan> {
  return planCalibration(experiment, {
    ...calibrationOptions(chosen),
    run: basename(folder),
    signal,
    onProgress: note,
  });
}

/** Computes one part of a calibration as a run of its own. */
async function onePart(
  name: string,
  calibration: Pick<ExperimentRun, "experiment" | "folder">,
  given: GivenCalibrate,
): Promise<CommandResult> {
  const { on, into, "at-most": atMost } = given.options;
  if (on !== "local" || atMost !== undefined || into !== undefined)
    throw new UsageError("--only computes one part here: leave out --on, --at-most and --into");
  const { parts } = await planOf(calibration, given);
  const only = parts.get(name);
  if (only === undefined)
    throw new UsageError(
      `there is no part ${JSON.stringify(name.slice(0, 100))}; there are ${[...parts.keys()].join(", ")}`,
    );
  const run = await openPart(calibration, name);
  const outcome = await runStages(run, ioOf(given), { only, shared: runPaths(calibration.folder).stages });
  return outcomeResult(run, outcome, "all");
}

function calibrationOptions(chosen: Given<typeof options>["options"]): CalibrationOptions {
  const { sets, nulls, factor, met } = chosen;
  if (sets + nulls === 0) throw new UsageError("--sets and --nulls are both 0: there is no tuning to calibrate with");
  const seeds = chosen.seeds?.split(",").map((part) => seedOf(part.trim(), "--seeds"));
  if (seeds !== undefined && (seeds.length !== sets + nulls || new Set(seeds).size !== seeds.length))
    throw new UsageError(
      `--seeds is ${JSON.stringify(chosen.seeds)}; expected ${sets + nulls} different seeds, for ${sets} tunings with planted words and ${nulls} without`,
    );
  return { sets, nulls, factor, met, seeds, wordsPerSet: chosen["words-per-set"], steps: stepsOf(chosen.steps) };
}

function stepsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--steps is ${JSON.stringify(text)}; expected a whole number`);
  return Number(text);
}

/**
 * The run that receives a copy. Throws `OtherExperimentError` if the named run is one that the calibration does not
 * apply to.
 */
async function targetOf(
  { experiment, folder }: ExperimentRun,
  into: string | undefined,
  { steps }: CalibrationOptions,
): Promise<string | undefined> {
  const tuning = tuningOf(experiment);
  const ownSteps = tuning === undefined ? undefined : factsOfTuning(tuning).steps;
  const speaksFor = async (run: string): Promise<boolean> =>
    (steps === undefined || steps === ownSteps) &&
    experimentDigest(await loadExperiment(runPaths(run).experiment)) === experimentDigest(experiment);
  if (into !== undefined) {
    const run = await existingRun(into);
    if (!(await speaksFor(run))) throw new OtherExperimentError(run, experiment.name);
    return run;
  }
  const own = join(dirname(folder), experiment.name);
  const isThere = own !== folder && (await exists(runPaths(own).record));
  return isThere && (await speaksFor(own).catch(() => false)) ? own : undefined;
}

async function resultOf(
  { folder }: ExperimentRun,
  outcome: RunOutcome,
  target: string | undefined,
): Promise<CommandResult> {
  if (outcome.kind === "failed") throw new RunFailedError(folder, outcome);
  if (outcome.kind === "cancelled")
    return { json: { folder, state: outcome }, text: `${folder}: ${describeState(outcome)}`, status: "requeue" };
  const calibration = await readOwnCalibration(folder);
  if (target !== undefined) await saveCalibration(target, calibration);
  const report = await readReport(folder);
  const copied = target === undefined ? "" : ` A copy is in ${target}.`;
  return { json: lineOf(calibration), text: `${report.text}\nThe calibration is in ${folder}.${copied}` };
}

/** The JSON output: the figures of words. */
function lineOf({ readings, sets, seeds, best }: Calibration): Readonly<Record<string, unknown>> {
  const shown = ReadingName.options.flatMap((name) => {
    const own = readings[name]?.words;
    if (own === undefined) return [];
    const { auroc, low, high, signs, found, falsePositives } = own;
    const shares = { signs: shareOf(signs.right, signs.of), found: shareOf(found.count, found.of) };
    return [[name, { auroc, low, high, ...shares, falsePositives }] as const];
  });
  return { name: "calibrate", check: "ok", readings: Object.fromEntries(shown), sets, seeds: seeds.length, best };
}

/** A share; null if nothing was counted. */
function shareOf(count: number | null, of: number): number | null {
  return count === null || of === 0 ? null : count / of;
}
