import { basename } from "node:path";
import { messageOf } from "../../common/errors.ts";
import {
  intentOf,
  noteCancelled,
  noteNotSubmitted,
  prepareJob,
  requireShared,
  showCancel,
  standingOfExit,
  standingOfJob,
} from "../cluster-job.ts";
import { type Executor, JobNotStartedError, type JobSpec, type JobStanding } from "../executor.ts";
import { absentForMs, isStopped, notePaths, noteStop, scriptExit } from "../job-notes.ts";
import type { SlurmJob } from "../job-record.ts";
import { livenessOf } from "../process-identity.ts";
import { runPaths } from "../run-folder.ts";
import { GRACE_MS, NotStoppedError, trueWithin } from "../stop-process.ts";
import {
  accountedState,
  ask,
  clusterOption,
  type QueueRow,
  SlurmCommandError,
  type SubmittedJob,
  submittedJob,
} from "./commands.ts";
import { jobScript } from "./job-script.ts";
import { defaultTimes, SlurmQueue, type SlurmTimes } from "./queue.ts";
import type { SlurmSettings } from "./settings.ts";
import { standingInAccounts, standingOf } from "./states.ts";

/**
 * Runs as jobs of Slurm, through its own commands. The record is in the run folder before `sbatch` is called, under a
 * name that no other job has: whoever looks later finds the job by it, also when the submitter was killed in between.
 * The run's record alone says that it is done; Slurm only tells whether more can come.
 */
export class SlurmExecutor implements Executor<SlurmJob, SlurmSettings> {
  readonly #times: SlurmTimes;
  readonly #queues = new Map<string | undefined, SlurmQueue>();

  constructor(times: SlurmTimes = defaultTimes) {
    this.#times = times;
  }

  async submit(job: JobSpec, settings: SlurmSettings, keep: (record: SlurmJob) => Promise<void>): Promise<SlurmJob> {
    const { runFolder } = job;
    requireShared(settings.sharedFolder, runFolder);
    const intent: SlurmJob = { executor: "slurm", ...(await intentOf(job)) };
    await prepareJob(job, intent.name, jobScript(job, intent.name, settings, process.env));
    await keep(intent);
    const submitted = await this.#sbatch(intent, runFolder, settings);
    this.#queueOf(submitted.cluster).hurry();
    return { ...intent, ...submitted };
  }

  async state(folder: string, job: SlurmJob): Promise<JobStanding> {
    return await standingOfJob(folder, job.name, async () => {
      const view = await this.#queueOf(job.cluster).view();
      if ("error" in view) return { standing: { state: "unknown", why: messageOf(view.error) }, isListed: false };
      const row = rowOf(view.rows, job);
      const standing = row === undefined ? await this.#absent(folder, job) : await standingOfRow(folder, job, row);
      return { standing, isListed: row !== undefined };
    });
  }

  async cancel(folder: string, job: SlurmJob, graceMs = GRACE_MS): Promise<void> {
    await noteStop(folder, job.name);
    const queue = this.#queueOf(job.cluster);
    let row: QueueRow | undefined;
    const look = async (): Promise<JobStanding> => {
      const view = await queue.fresh();
      if ("error" in view) throw view.error;
      row = rowOf(view.rows, job);
      return row === undefined ? { state: "gone" } : standingOfRow(folder, job, row);
    };
    const isGone = async () => (await look()).state === "gone";
    const standing = await look();
    if (row === undefined || standing.state === "gone") return;
    const { hurryMs } = this.#times;
    const pauses = { firstMs: hurryMs / 2, mostMs: hurryMs };
    if (standing.state === "working") {
      await showCancel(folder);
      await this.#scancel(job, row.id, "--signal=TERM", "--batch");
      if (await trueWithin(graceMs, isGone, pauses)) return noteCancelled(folder, job.name);
    }
    await this.#scancel(job, row.id);
    if (!(await trueWithin(KILL_WAIT_MS, isGone, pauses)))
      throw new NotStoppedError(`Slurm has not ended job ${row.id} within ${KILL_WAIT_MS / 1000} s; it was told to.`);
    await noteCancelled(folder, job.name);
  }

  process(): undefined {
    return undefined;
  }

  /** Submits the job, or finds it where `sbatch` was unclear on whether it did. Throws `JobNotStartedError`. */
  async #sbatch(job: SlurmJob, runFolder: string, settings: SlurmSettings): Promise<SubmittedJob> {
    try {
      const answer = await ask("sbatch", sbatchArguments(job.name, runFolder, settings), this.#times.commandMs);
      const submitted = submittedJob(answer);
      if (submitted !== undefined) return submitted;
      throw new SlurmCommandError("sbatch", "failed", answer);
    } catch (error) {
      if (!(error instanceof SlurmCommandError)) throw error;
      const found = error.kind === "missing" ? undefined : await this.#lookFor(job);
      if (found !== undefined) return found;
      await noteNotSubmitted(runFolder, job.name, submitAdvice(error));
      throw new JobNotStartedError(`The job was not submitted: ${submitAdvice(error)}.`);
    }
  }

  async #lookFor(job: SlurmJob): Promise<SubmittedJob | undefined> {
    const view = await this.#queueOf(undefined).fresh();
    const row = "error" in view ? undefined : rowOf(view.rows, job);
    return row === undefined ? undefined : { id: row.id };
  }

  /** The standing of a job that Slurm's list lacks. */
  async #absent(folder: string, job: SlurmJob): Promise<JobStanding> {
    const exit = await scriptExit(folder, job.name);
    if (exit !== undefined && exit.word !== "ended") return standingOfExit(folder, exit);
    if (job.id === undefined) {
      if (await isStopped(folder, job.name)) return { state: "gone", how: "stopped" };
      if ((await livenessOf(job.submitter)) === "gone") return this.#neverSubmitted(folder, job);
    }
    const { absentMs, commandMs } = this.#times;
    const forMs = await absentForMs(folder, job.name);
    if (forMs < absentMs) return { state: "unknown", why: "Slurm does not list its job" };
    const state = await accountedState(job, commandMs).catch(() => undefined);
    if (state === undefined && exit !== undefined) return standingOfExit(folder, exit);
    return standingInAccounts(state, forMs >= LOST_AFTER * absentMs);
  }

  /** The standing of a job whose submitter was killed before it knew the job's id, unless Slurm lists it by now. */
  async #neverSubmitted(folder: string, job: SlurmJob): Promise<JobStanding> {
    const view = await this.#queueOf(job.cluster).fresh();
    if ("error" in view) return { state: "unknown", why: messageOf(view.error) };
    const row = rowOf(view.rows, job);
    if (row !== undefined) return standingOfRow(folder, job, row);
    // `sbatch` may still be on its way: its job is not to begin.
    await noteStop(folder, job.name);
    return { state: "gone", why: "its submitter ended before Slurm had the job", how: "passing" };
  }

  async #scancel(job: SlurmJob, id: string, ...options: string[]): Promise<void> {
    try {
      await ask("scancel", [...options, ...clusterOption(job.cluster), id], this.#times.commandMs);
    } catch (error) {
      // It ended meanwhile: the next look at the queue tells.
      if (!(error instanceof SlurmCommandError && error.kind === "failed")) throw error;
    }
  }

  #queueOf(cluster: string | undefined): SlurmQueue {
    const known = this.#queues.get(cluster) ?? new SlurmQueue(cluster, this.#times);
    this.#queues.set(cluster, known);
    return known;
  }
}

/** How many times as long as others a job is waited for that Slurm's accounts have as alive. */
const LOST_AFTER = 12;

/** KillWait, 30 s by default, and time for a busy controller. */
const KILL_WAIT_MS = 90_000;

/** The options of `sbatch` for a run's job, and its script. */
export function sbatchArguments(name: string, runFolder: string, settings: SlurmSettings): string[] {
  return [
    "--parsable",
    `--job-name=${name}`,
    `--comment=lfp:${basename(runFolder)}`,
    `--chdir=${runFolder}`,
    // sbatch replaces patterns such as %j.
    `--output=${runPaths(runFolder).output.replaceAll("%", "%%")}`,
    "--open-mode=append",
    ...settingOptions(settings),
    notePaths(runFolder, name).script,
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
function submitAdvice(error: SlurmCommandError): string {
  if (/job violates accounting\/qos policy|qos.*limit|submit limit/i.test(error.said))
    return `${error.message}. The cluster allows you no more jobs now: wait for some to end`;
  if (/invalid (account|partition|qos)|invalid generic resource|requested node configuration/i.test(error.said))
    return `${error.message}. \`lfp doctor --on slurm\` shows what there is`;
  return error.message;
}

/** The job's row: by its id, or by its name where the id is not known; never another's that got its id later. */
function rowOf(rows: readonly QueueRow[], job: SlurmJob): QueueRow | undefined {
  const own = rows.filter(({ name }) => name === job.name);
  return own.find(({ id }) => id === job.id) ?? (job.id === undefined ? own.at(-1) : undefined);
}

async function standingOfRow(folder: string, job: SlurmJob, row: QueueRow): Promise<JobStanding> {
  const standing = standingOf(row.state, row.reason);
  if (standing.state !== "gone" || row.state === "CANCELLED") return standing;
  const exit = await scriptExit(folder, job.name);
  // What somebody cancels is CANCELLED; another end by Slurm may have no state of its own.
  if (exit?.word === "ended" && row.state === "FAILED")
    return { state: "gone", why: "Slurm took its node from it", how: "passing" };
  if (exit !== undefined && exit.word !== "ended") return standingOfExit(folder, exit);
  if (row.state === "FAILED" && (await isStopped(folder, job.name))) return { state: "gone", how: "stopped" };
  return standing;
}
