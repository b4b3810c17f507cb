import { basename, dirname } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { messageOf } from "../../common/errors.ts";
import {
  givesSignsOfLife,
  intentOf,
  jobName,
  noteCancelled,
  noteNotSubmitted,
  noteRefusedArray,
  prepareJob,
  requireShared,
  showCancel,
  standingOfExit,
  standingOfJob,
} from "../cluster-job.ts";
import { ArrayRefusedError, type Executor, JobNotStartedError, type JobSpec, type JobStanding } from "../executor.ts";
import { absentForMs, isStopped, notePaths, noteStop, scriptExit } from "../job-notes.ts";
import type { SlurmJob } from "../job-record.ts";
import { livenessOf } from "../process-identity.ts";
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
import { arrayScript, jobScript } from "./job-script.ts";
import { arrayArguments, arrayFolder, isArrayRefused, sbatchArguments, submitAdvice } from "./options.ts";
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
  /** When submitters were first seen to be gone. */
  readonly #goneSinceMs = new Map<string, number>();
  readonly #queues = new Map<string | undefined, SlurmQueue>();

  constructor(times: SlurmTimes = defaultTimes) {
    this.#times = times;
  }

  async submit(job: JobSpec, settings: SlurmSettings, keep: (record: SlurmJob) => Promise<void>): Promise<SlurmJob> {
    const { runFolder } = job;
    requireShared(settings.sharedFolder, runFolder);
    const name = jobName(basename(runFolder));
    const intent: SlurmJob = { executor: "slurm", ...(await intentOf(job, name)) };
    await prepareJob(job, name, jobScript(job, name, settings, process.env));
    await keep(intent);
    const submitted = await this.#sbatch(sbatchArguments(name, runFolder, settings), {
      name,
      folders: [runFolder],
      isArray: false,
    });
    return { ...intent, ...submitted };
  }

  async submitArray(
    jobs: readonly JobSpec[],
    settings: SlurmSettings,
    { atMost, keep }: Parameters<NonNullable<Executor<SlurmJob, SlurmSettings>["submitArray"]>>[2],
  ): Promise<readonly SlurmJob[]> {
    const folders = jobs.map(({ runFolder }) => runFolder);
    for (const folder of folders) requireShared(settings.sharedFolder, folder);
    const name = jobName(basename(dirname(arrayFolder(jobs))));
    const intents: SlurmJob[] = [];
    for (const [task, job] of jobs.entries()) {
      const intent: SlurmJob = { executor: "slurm", ...(await intentOf(job, name)), task };
      await prepareJob(job, name, jobScript(job, name, settings, process.env));
      await keep(job, intent);
      intents.push(intent);
    }
    await writeFileAtomically(notePaths(arrayFolder(jobs), name).array, arrayScript(jobs, name));
    const { id, cluster } = await this.#sbatch(arrayArguments(name, jobs, atMost, settings), {
      name,
      folders,
      isArray: true,
    });
    return intents.map((intent, task) => ({
      ...intent,
      id: `${id}_${task}`,
      ...(cluster === undefined ? {} : { cluster }),
    }));
  }

  async state(folder: string, job: SlurmJob): Promise<JobStanding> {
    return await standingOfJob(folder, job.name, async () => {
      const view = await this.#queueOf(job.cluster).view();
      if ("error" in view) return { standing: { state: "unknown", why: messageOf(view.error) }, isListed: false };
      const row = rowOf(view.rows, job);
      const standing =
        row === undefined ? await this.#absent(folder, job, view.askedAtMs) : await standingOfRow(folder, job, row);
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

  /**
   * Submits the job or array of a name for runs, or finds it where `sbatch` was unclear on whether it did. Throws
   * `JobNotStartedError` and `ArrayRefusedError`.
   */
  async #sbatch(args: readonly string[], { name, folders, isArray }: Submission): Promise<SubmittedJob> {
    try {
      const answer = await ask("sbatch", args, this.#times.commandMs);
      const submitted = submittedJob(answer);
      if (submitted === undefined) throw new SlurmCommandError("sbatch", "failed", answer);
      this.#queueOf(submitted.cluster).hurry();
      return submitted;
    } catch (error) {
      if (!(error instanceof SlurmCommandError)) throw error;
      const found = error.kind === "missing" ? undefined : await this.#lookFor(name);
      if (found !== undefined) return found;
      const why = submitAdvice(error);
      if (isArray && isArrayRefused(error)) {
        for (const folder of folders) await noteRefusedArray(folder, name);
        throw new ArrayRefusedError(why);
      }
      for (const folder of folders) await noteNotSubmitted(folder, name, why);
      throw new JobNotStartedError(`The job was not submitted: ${why}.`);
    }
  }

  async #lookFor(name: string): Promise<SubmittedJob | undefined> {
    const view = await this.#queueOf(undefined).fresh();
    const id = "error" in view ? undefined : view.rows.findLast((row) => row.name === name)?.id;
    return id === undefined ? undefined : { id: id.replace(/_.*$/, "") };
  }

  /** The standing of a job that Slurm's list lacks, which was asked for at a time of `performance.now()`. */
  async #absent(folder: string, job: SlurmJob, askedAtMs: number): Promise<JobStanding> {
    const exit = await scriptExit(folder, job.name);
    if (exit !== undefined && exit.word !== "ended") return standingOfExit(folder, exit);
    if (job.id === undefined) {
      if (await isStopped(folder, job.name)) return { state: "gone", how: "stopped" };
      if ((await livenessOf(job.submitter)) === "gone") return this.#neverSubmitted(folder, job);
    }
    // Another process submitted the job since.
    if (performance.timeOrigin + askedAtMs < Date.parse(job.submittedAt))
      return { state: "unknown", why: "Slurm has not been asked since its job was submitted" };
    const { absentMs, commandMs } = this.#times;
    const forMs = await absentForMs(folder, job.name);
    if (forMs < absentMs) return { state: "unknown", why: "Slurm does not list its job" };
    if (await givesSignsOfLife(folder, job.name))
      return { state: "unknown", why: "Slurm does not list its job, whose process still works" };
    const state = await accountedState(job, commandMs).catch(() => undefined);
    if (state === undefined && exit !== undefined) return standingOfExit(folder, exit);
    return standingInAccounts(state, forMs >= LOST_AFTER * absentMs);
  }

  /** The standing of a job whose submitter was killed before it knew the job's id, unless Slurm lists it by now. */
  async #neverSubmitted(folder: string, job: SlurmJob): Promise<JobStanding> {
    // The runs of an array have one submitter, and one answer of Slurm after its end serves all.
    const submitter = JSON.stringify(job.submitter);
    const goneSinceMs = this.#goneSinceMs.get(submitter) ?? performance.now();
    this.#goneSinceMs.set(submitter, goneSinceMs);
    const view = await this.#queueOf(job.cluster).since(goneSinceMs);
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

/** What `sbatch` is asked for: a job, or an array (perhaps of one), and the folders of its runs. */
interface Submission {
  readonly name: string;
  readonly folders: readonly string[];
  readonly isArray: boolean;
}

/** How many times as long as others a job is waited for that Slurm's accounts have as alive. */
const LOST_AFTER = 12;

/** KillWait, 30 s by default, and time for a busy controller. */
const KILL_WAIT_MS = 90_000;

/**
 * The job's row: by its id, or by its name and number in its array where the id is not known; never another's that got its
 * id later.
 */
function rowOf(rows: readonly QueueRow[], job: SlurmJob): QueueRow | undefined {
  const { name, task } = job;
  const own = rows.filter((row) => row.name === name && (task === undefined || row.id.endsWith(`_${task}`)));
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
