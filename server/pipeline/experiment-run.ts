import { basename, dirname, join, resolve } from "node:path";
import { type ExecutorSettings, submitRun } from "../runs/jobs.ts";
import { prepareRun, runPaths } from "../runs/run-folder.ts";
import { presetNames } from "./experiment/presets.ts";
import { loadExperiment, parseExperiment } from "./experiment/resolve.ts";
import type { Experiment } from "./experiment/schema.ts";

/** An experiment with the folder of its run, which exists and holds it. */
export interface ExperimentRun {
  readonly experiment: Experiment;
  readonly runsRoot: string;
  readonly folder: string;
  readonly experimentFile: string;
}

export interface ExperimentRunOptions {
  /** The run's folder; `runs/` and the experiment's name unless given. */
  readonly out?: string | undefined;
  /** Folder in which the run's folder stands unless `out` says where. */
  readonly runsRoot?: string | undefined;
  /** Put after the folder's name: several runs of one experiment stand side by side. */
  readonly suffix?: string;
  /** Instead of the experiment's. */
  readonly seed?: number | undefined;
  /** True allows downloads, whatever the experiment says. */
  readonly download?: boolean;
}

/**
 * Reads an experiment, or takes a preset by name, and makes its run's folder. Throws what `loadExperiment` and `prepareRun` throw.
 */
export async function openExperimentRun(
  reference: string,
  { out, runsRoot = "runs", suffix = "", seed, download = false }: ExperimentRunOptions = {},
): Promise<ExperimentRun> {
  const preset = presetNames.find((name) => name === reference);
  const stated =
    preset === undefined ? await loadExperiment(reference) : parseExperiment({ preset }, { name: `preset ${preset}` });
  const experiment = parseExperiment({
    ...stated,
    ...(seed === undefined ? {} : { seed }),
    ...(download ? { download } : {}),
  });
  const folder = `${resolve(out ?? join(runsRoot, experiment.name))}${suffix}`;
  const root = dirname(folder);
  await prepareRun(root, basename(folder), experiment);
  return { experiment, runsRoot: root, folder, experimentFile: runPaths(folder).experiment };
}

/**
 * Starts a run as a process of its own, or goes on with it. The process reads the experiment that stands in the run folder, so that it is
 * this one whatever happens to the file it came from. `program` is `lfp` as arguments. Throws what `submitRun` throws.
 */
export async function submitExperimentRun(
  { folder, experimentFile }: Pick<ExperimentRun, "folder" | "experimentFile">,
  program: readonly [string, ...string[]],
  cwd: string,
  { options = [], ...executor }: SubmitOptions = {},
): Promise<void> {
  const argv: [string, ...string[]] = [...program, "run", experimentFile, "--out", folder, ...options];
  await submitRun({ runFolder: folder, argv, cwd }, executor);
}

export interface SubmitOptions extends ExecutorSettings {
  /** More options of `lfp run`. */
  readonly options?: readonly string[];
}
