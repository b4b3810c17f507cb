/** The options of `sbatch`, and what helps where it refuses. */
import { basename } from "node:path";
import type { JobSpec } from "../executor.ts";
import { notePaths } from "../job-notes.ts";
import { runPaths } from "../run-folder.ts";
import type { SlurmCommandError } from "./commands.ts";
import type { SlurmSettings } from "./settings.ts";

/** The options of `sbatch` for a run's job, and its script. */
export function sbatchArguments(name: string, runFolder: string, settings: SlurmSettings): string[] {
  const { output } = runPaths(runFolder);
  return [...placeOptions(name, runFolder, output), ...settingOptions(settings), notePaths(runFolder, name).script];
}

/** The options of `sbatch` for an array of jobs, and its script; at most so many work at a time. */
export function arrayArguments(
  name: string,
  jobs: readonly JobSpec[],
  atMost: number,
  settings: SlurmSettings,
): string[] {
  const folder = arrayFolder(jobs);
  const { array, arrayOutput } = notePaths(folder, name);
  return [
    ...placeOptions(name, folder, arrayOutput),
    ...settingOptions(settings),
    // Last, so that it holds whatever the settings' own options say.
    `--array=0-${jobs.length - 1}%${atMost}`,
    array,
  ];
}

/** The run folder that keeps what belongs to all jobs of an array: its first one's. */
export function arrayFolder([first]: readonly JobSpec[]): string {
  return first?.runFolder ?? "";
}

function placeOptions(name: string, runFolder: string, output: string): string[] {
  return [
    "--parsable",
    `--job-name=${name}`,
    `--comment=lfp:${basename(runFolder)}`,
    `--chdir=${runFolder}`,
    // sbatch replaces patterns such as %j.
    `--output=${output.replaceAll("%", "%%")}`,
    "--open-mode=append",
  ];
}

/** The options with which `sbatch` checks the settings and submits nothing. */
export function testArguments(settings: SlurmSettings): string[] {
  return ["--test-only", ...settingOptions(settings), "--wrap=true"];
}

function settingOptions({ extraArgs, saveSeconds, ...stated }: SlurmSettings): string[] {
  const { partition, account, qos, time, gres, cpus, memory } = stated;
  const values = { partition, account, qos, time, gres, "cpus-per-task": cpus, mem: memory };
  return [
    "--requeue",
    `--signal=B:USR1@${saveSeconds}`,
    "--export=NONE",
    ...Object.entries(values).flatMap(([option, value]) => (value === undefined ? [] : [`--${option}=${value}`])),
    ...extraArgs,
  ];
}

/** Why `sbatch` did not submit, and what helps. */
export function submitAdvice(error: SlurmCommandError): string {
  if (isAtLimit(error)) return `${error.message}. The cluster allows you no more jobs now: wait for some to end`;
  if (/invalid (account|partition|qos)|invalid generic resource|requested node configuration/i.test(error.said))
    return `${error.message}. \`lfp doctor --on slurm\` shows what there is`;
  return error.message;
}

/** Whether `sbatch` refused an array as such (too many tasks for MaxArraySize or for a limit on jobs), and not its jobs. */
export function isArrayRefused(error: SlurmCommandError): boolean {
  return error.kind === "failed" && (/job array/i.test(error.said) || isAtLimit(error));
}

function isAtLimit({ said }: SlurmCommandError): boolean {
  return /job violates accounting\/qos policy|qos.*limit|submit limit/i.test(said);
}
