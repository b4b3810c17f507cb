/** Slurm's own commands: how they are called, and what their answers mean. */
import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { LfpError } from "../../common/errors.ts";
import { visibleLine } from "../../common/untrusted-text.ts";
import type { SlurmJob } from "../job-record.ts";

/** A command of Slurm could not be run or did not do what it was asked to. */
export class SlurmCommandError extends LfpError {
  readonly code = "resource";
  /** `missing`: not on PATH. `late`: no answer in time, so that what it was asked to do may still happen. */
  readonly kind: "missing" | "late" | "failed";
  /** What the command printed. */
  readonly said: string;

  constructor(program: string, kind: SlurmCommandError["kind"], said: string) {
    super(
      `${program} ${failures[kind]}${kind === "failed" ? `: ${visibleLine(said.trim(), 500) || "it said nothing"}` : ""}`,
    );
    this.kind = kind;
    this.said = said;
  }
}

const failures: { readonly [K in SlurmCommandError["kind"]]: string } = {
  missing: "is not on PATH: Slurm's commands are on a cluster's login node",
  late: "did not answer in time: Slurm's controller may be busy or down",
  failed: "failed",
};

/** How long one command may take. */
export const COMMAND_MS = 60_000;

/** A login node allows a user few processes, and the runs of a sweep may be stopped all at once. */
const MOST_COMMANDS = 16;
let working = 0;
const waiting: (() => void)[] = [];

/**
 * Runs a command of Slurm and returns its standard output; a few at a time in this process, so that others wait. Throws
 * `SlurmCommandError`.
 */
export async function ask(program: string, args: readonly string[], timeoutMs = COMMAND_MS): Promise<string> {
  if (working === MOST_COMMANDS) await new Promise<void>((resolve) => waiting.push(resolve));
  else working += 1;
  try {
    return await run(program, args, timeoutMs);
  } finally {
    // Whoever waits longest takes this one's place.
    const next = waiting.shift();
    if (next === undefined) working -= 1;
    else next();
  }
}

function run(program: string, args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: 1 << 26,
      env: commandEnv(process.env),
    } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const kind = error.code === "ENOENT" ? "missing" : error.killed === true ? "late" : "failed";
      reject(new SlurmCommandError(program, kind, `${stderr}\n${stdout}`));
    });
  });
}

/**
 * The environment of Slurm's commands: without variables of a job that this process may itself be part of, and without
 * those by which people change the commands' options and formats.
 */
export function commandEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => name === "SLURM_CONF" || !/^(SLURM_|SBATCH_|SQUEUE_|SACCT_|SCANCEL_|SINFO_)/.test(name),
  );
  // Lists of an array's tasks are not to be cut short.
  return { ...Object.fromEntries(kept), LC_ALL: "C", SLURM_BITSTR_LEN: "0" };
}

export interface SubmittedJob {
  readonly id: string;
  readonly cluster?: string;
}

/**
 * The job that `sbatch --parsable` says it has submitted: `id` or `id;cluster` in the last line, since sites print
 * texts before it; or the words of `sbatch` without that option. Undefined if it says neither.
 */
export function submittedJob(answer: string): SubmittedJob | undefined {
  const lines = answer.split("\n").map((line) => line.trim());
  const last = lines.findLast((line) => line !== "") ?? "";
  const found =
    /^(\d+)(?:;([\w.-]+))?$/.exec(last) ?? /Submitted batch job (\d+)(?: on cluster ([\w.-]+))?/.exec(answer);
  const [, id, cluster] = found ?? [];
  return id === undefined ? undefined : { id, ...(cluster === undefined ? {} : { cluster }) };
}

/** One job as `squeue` lists it. */
export interface QueueRow {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly name: string;
  /** The folder that it was submitted with. */
  readonly folder: string;
}

/** The caller's jobs, those that ended lately among them, each task of an array by itself, in one call. Throws `SlurmCommandError`. */
export async function listQueue(cluster: string | undefined, timeoutMs?: number): Promise<QueueRow[]> {
  const args = [
    "--noheader",
    "--all",
    "--array",
    "--states=all",
    `--user=${userInfo().uid}`,
    "--format=%i|%T|%r|%j|%Z",
  ];
  return queueRows(await ask("squeue", [...args, ...clusterOption(cluster)], timeoutMs));
}

/** The rows of `squeue`; lines of another form, such as those that sites print, are left out. */
export function queueRows(answer: string): QueueRow[] {
  return answer.split("\n").flatMap((line) => {
    const [, id, state, reason, name, folder] =
      /^\s*([\d_+[\]%,-]+)\|([A-Z0-9_]+)\|([^|]*)\|([^|]*)\|(.*)$/.exec(line) ?? [];
    return id && state && name ? [{ id, state, reason: reason ?? "", name, folder: folder ?? "" }] : [];
  });
}

/** Whether an id of Slurm's accounts, `1234_7` or `1234_[0-5,7%2]`, holds a task of an array. */
export function holdsTask(id: string, task: number): boolean {
  const [, one, list] = /^\d+_(?:(\d+)$|\[([\d,-]+))/.exec(id) ?? [];
  if (one !== undefined) return Number(one) === task;
  const ranges = list?.split(",").map((range) => range.split("-").map(Number)) ?? [];
  return ranges.some(([first = Number.NaN, last = first]) => first <= task && task <= last);
}

/**
 * The state of a job in Slurm's accounting, by its name and the day of its submission, since ids are used again.
 * Undefined if it is not there, or the cluster keeps no accounts. Throws `SlurmCommandError`.
 */
export async function accountedState(
  { name, task, cluster, submittedAt }: Pick<SlurmJob, "name" | "task" | "cluster" | "submittedAt">,
  timeoutMs?: number,
): Promise<string | undefined> {
  const dayBefore = new Date(Date.parse(submittedAt) - 86_400_000).toISOString().slice(0, 10);
  const args = ["-X", "-n", "-P", `--name=${name}`, `--starttime=${dayBefore}`, "--format=JobName,State,JobID"];
  try {
    const answer = await ask("sacct", [...args, ...clusterOption(cluster)], timeoutMs);
    const states = answer.split("\n").flatMap((line) => {
      const [found, state, id = ""] = line.split("|");
      const isIt = found === name && (task === undefined || holdsTask(id, task));
      // `CANCELLED by 1000`, `RUNNING+`
      return isIt && state !== undefined ? [(/^[A-Z_]+/.exec(state.trim()) ?? [""])[0]] : [];
    });
    return states.at(-1);
  } catch (error) {
    if (error instanceof SlurmCommandError && (error.kind === "missing" || hasNoAccounts(error.said))) return undefined;
    throw error;
  }
}

/** Whether `sacct` says that the cluster keeps no accounts. */
export function hasNoAccounts(said: string): boolean {
  return /accounting storage is disabled/i.test(said);
}

export function clusterOption(cluster: string | undefined): string[] {
  return cluster === undefined ? [] : [`--clusters=${cluster}`];
}
