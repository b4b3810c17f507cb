/** Going on with a run that is there, by its folder alone. */
import { basename, dirname } from "node:path";
import { LfpError } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import { type PlaceKind, readPlace } from "../runs/executor-settings.ts";
import { readRecord, runPaths } from "../runs/run-folder.ts";
import { calibrationWords } from "./calibration-options.ts";
import { type JobOptions, submitExperimentRun } from "./experiment-run.ts";
import { type Members, readMembers } from "./sweep/members.ts";

/** The folder holds what a command makes of several runs, or a part of that: no experiment's run by itself. */
export class NotAloneError extends LfpError {
  readonly code = "usage";

  constructor(folder: string, command: string) {
    super(
      `${folder} is no run of its experiment alone: \`${command}\` makes it, with the options that it was given, and goes on with it.`,
    );
  }
}

/** There is no experiment from which a run could go on. */
export class NoExperimentError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string) {
    super(`${folder} has no experiment.json; start the run from its experiment file.`);
  }
}

/** How a run goes on: with which command, and whether that starts runs of its own. */
interface Continuation {
  readonly job: Pick<JobOptions, "command" | "out" | "options">;
  readonly startsRuns: boolean;
}

/**
 * Starts a process or job that goes on with a run: with its experiment or, where the folder is a calibration's or that of
 * a part of one, with that calibration. Throws `NotAloneError` where the folder does not say how, `NoExperimentError`,
 * and what `readPlace` and `submitRun` throw.
 */
export async function continueRun(
  folder: string,
  program: readonly [string, ...string[]],
  { on, isAgain = false }: { readonly on: PlaceKind; readonly isAgain?: boolean },
): Promise<void> {
  const { job, startsRuns } = await continuationOf(folder);
  const experimentFile = runPaths(folder).experiment;
  if (!(await exists(experimentFile))) throw new NoExperimentError(folder);
  // What only starts runs and waits for them does so here, as it would in a terminal.
  const place = await readPlace(startsRuns ? "local" : on);
  const options = [...(job.options ?? []), ...(startsRuns ? ["--on", on] : [])];
  await submitExperimentRun({ folder, experimentFile }, program, dirname(folder), { ...job, options, place, isAgain });
}

/** Throws `NotAloneError` for a folder that a run of an experiment alone would spoil. */
export async function requireAlone(folder: string): Promise<void> {
  const { job } = await continuationOf(folder);
  if (job.command === undefined) return;
  const words = [job.command, runPaths(folder).experiment, "--out", job.out ?? folder, ...(job.options ?? [])];
  throw new NotAloneError(folder, `lfp ${words.join(" ")}`);
}

async function continuationOf(folder: string): Promise<Continuation> {
  const own = await readMembers(folder);
  if (own !== undefined) return { job: ofCalibration(folder, own), startsRuns: true };
  const parent = dirname(folder);
  const around = await readMembers(parent);
  if (around?.calibration !== undefined)
    return { job: partJob(parent, basename(folder), calibrationWords(around.calibration)), startsRuns: false };
  // By one process, as earlier versions did.
  if ((await readRecord(folder))?.stages.some(({ stage }) => stage === "calibrate") === true)
    throw new NotAloneError(folder, `lfp calibrate EXPERIMENT --out ${folder}`);
  return { job: {}, startsRuns: false };
}

function ofCalibration(folder: string, { calibration }: Members): Continuation["job"] {
  if (calibration !== undefined) return { command: "calibrate", options: calibrationWords(calibration) };
  const isOfSeeds = folder.endsWith("-seeds");
  const command = isOfSeeds
    ? `lfp run EXPERIMENT --out ${folder.replace(/-seeds$/, "")} --seeds LIST`
    : `lfp calibrate EXPERIMENT --out ${folder}`;
  throw new NotAloneError(folder, command);
}

/** The job of a part of a calibration; `words` say which calibration it is. */
export function partJob(calibration: string, part: string, words: readonly string[]): Continuation["job"] {
  return { command: "calibrate", out: calibration, options: ["--only", part, ...words] };
}
