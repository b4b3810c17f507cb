import { basename, dirname, join, resolve } from "node:path";
import type { JobSpec } from "../runs/executor.ts";
import type { Place } from "../runs/executor-settings.ts";
import { submitRun } from "../runs/jobs.ts";
import { prepareRun, runPaths } from "../runs/run-folder.ts";
import { runWork } from "../runs/run-status.ts";
import type { OnWait } from "../runs/submission-lease.ts";
import { presetNames } from "./experiment/presets.ts";
import { loadExperiment, parseExperiment } from "./experiment/resolve.ts";
import type { Experiment } from "./experiment/schema.ts";

/** An experiment and the folder of its run, which exists and contains it. */
export interface ExperimentRun {
  readonly experiment: Experiment;
  readonly runsRoot: string;
  readonly folder: string;
  readonly experimentFile: string;
}

export interface ExperimentRunOptions {
  /** The run's folder; `runs/` and the experiment's name unless given. */
  readonly out?: string | undefined;
  /** Parent of the run's folder unless `out` is given. */
  readonly runsRoot?: string | undefined;
  /** Appended to the folder's name, so that several runs of one experiment can coexist. */
  readonly suffix?: string;
  /** Overrides the experiment's seed. */
  readonly seed?: number | undefined;
  /** True allows downloads, whatever the experiment says. */
  readonly download?: boolean;
  /** True leaves a run alone that something works on or waits to, instead of refusing it. */
  readonly adopt?: boolean;
}

/**
 * Reads an experiment, or takes a preset by name, and creates its run's folder. Throws what `loadExperiment` and
 * `prepareRun` throw.
 */
export async function openExperimentRun(reference: string, options: ExperimentRunOptions = {}): Promise<ExperimentRun> {
  return await placeExperimentRun(await findExperimentRun(reference, options), options);
}

/** Creates a run's folder with its experiment. Throws what `prepareRun` throws. */
export async function placeExperimentRun(
  { experiment, folder }: Pick<ExperimentRun, "experiment" | "folder">,
  { adopt = false }: Pick<ExperimentRunOptions, "adopt"> = {},
): Promise<ExperimentRun> {
  const root = dirname(folder);
  const isThere = adopt && (await runWork(folder)).state !== "gone";
  if (!isThere) await prepareRun(root, basename(folder), experiment);
  return { experiment, runsRoot: root, folder, experimentFile: runPaths(folder).experiment };
}

/** Reads an experiment, and says where its run is; makes nothing. Throws what `loadExperiment` throws. */
export async function findExperimentRun(
  reference: string,
  { out, runsRoot = "runs", suffix = "", seed, download = false }: ExperimentRunOptions = {},
): Promise<Pick<ExperimentRun, "experiment" | "folder">> {
  const preset = presetNames.find((name) => name === reference);
  const stated =
    preset === undefined ? await loadExperiment(reference) : parseExperiment({ preset }, { name: `preset ${preset}` });
  const experiment = parseExperiment({
    ...stated,
    ...(seed === undefined ? {} : { seed }),
    ...(download ? { download } : {}),
  });
  return { experiment, folder: `${resolve(out ?? join(runsRoot, experiment.name))}${suffix}` };
}

/** Starts or resumes a run as a process or job of its own. Throws what `submitRun` throws. */
export async function submitExperimentRun(
  run: Pick<ExperimentRun, "folder" | "experimentFile">,
  program: readonly [string, ...string[]],
  cwd: string,
  { place, onWait, ...more }: SubmitOptions = {},
): Promise<void> {
  await submitRun(experimentJob(run, program, cwd, more), place, onWait);
}

/**
 * The job of a run. It reads the experiment in the run folder, so that later changes to the original file have no
 * effect. `program` is the command line of `lfp`.
 */
export function experimentJob(
  { folder, experimentFile }: Pick<ExperimentRun, "folder" | "experimentFile">,
  program: readonly [string, ...string[]],
  cwd: string,
  { command = "run", out = folder, options = [], isAgain = false }: JobOptions = {},
): JobSpec {
  const argv: JobSpec["argv"] = [...program, command, experimentFile, "--out", out, ...options];
  return { runFolder: folder, argv, cwd, isAgain };
}

export interface JobOptions {
  /** Of `lfp`; `run` unless given. */
  readonly command?: string;
  /** The folder that the command is given; the run's unless given. */
  readonly out?: string;
  /** More options of the command. */
  readonly options?: readonly string[];
  /** See `JobSpec`. */
  readonly isAgain?: boolean;
}

export interface SubmitOptions extends JobOptions {
  /** Where it runs; on this machine unless given. */
  readonly place?: Place;
  /** See `submitRun`. */
  readonly onWait?: OnWait;
}
