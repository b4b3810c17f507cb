import { basename } from "node:path";
import { LfpError, messageOf } from "../../common/errors.ts";
import {
  type FoundJob,
  givesSignsOfLife,
  intentOf,
  jobName,
  noteCancelled,
  noteNotSubmitted,
  prepareJob,
  requireShared,
  showCancel,
  standingOfExit,
  standingOfJob,
} from "../cluster-job.ts";
import { type Executor, JobNotStartedError, type JobSpec, type JobStanding } from "../executor.ts";
import { readSettings } from "../executor-settings.ts";
import { absentForMs, isStopped, notePaths, noteStop, scriptExit } from "../job-notes.ts";
import type { RayJob } from "../job-record.ts";
import { quote } from "../job-script.ts";
import { livenessOf } from "../process-identity.ts";
import { NotStoppedError, trueWithin } from "../stop-process.ts";
import { RayClient, RayError, type RayJobInfo, type RaySubmission } from "./client.ts";
import { rayJobScript } from "./job-script.ts";
import type { RaySettings } from "./settings.ts";
import { standingOf } from "./states.ts";

/** Times in milliseconds, shorter in tests. */
export interface RayTimes {
  /** How long an answer about a job is used again. */
  readonly freshMs: number;
  /** How long Ray may go without knowing a job before that counts as its end. */
  readonly absentMs: number;
  readonly commandMs: number;
  /** How long Ray may take to end a job after its time to save is up. */
  readonly killMs: number;
}

const defaultTimes: RayTimes = { freshMs: 10_000, absentMs: 300_000, commandMs: 30_000, killMs: 30_000 };

/** A job's record names another cluster than the user's settings. */
export class OtherRayError extends LfpError {
  readonly code = "usage";

  constructor(address: string, own: string) {
    super(`its job was submitted to ${address}, and executors.json names ${own}: only that one is asked.`);
  }
}

/**
 * Runs as jobs of a Ray cluster, by its Jobs API. A job's name is its submission id, which Ray takes once: the record is in
 * the run folder before Ray is asked, and asking again submits no second job. Ray starts no job again; whoever follows
 * the run does, with another name. The run's record alone says that it is done.
 */
export class RayExecutor implements Executor<RayJob, RaySettings> {
  readonly #times: RayTimes;
  readonly #answers = new Map<string, { readonly atMs: number; readonly found: Promise<FoundJob> }>();

  constructor(times: RayTimes = defaultTimes) {
    this.#times = times;
  }

  async submit(job: JobSpec, settings: RaySettings, keep: (record: RayJob) => Promise<void>): Promise<RayJob> {
    const { runFolder } = job;
    requireShared(settings.sharedFolder, runFolder);
    const { address } = settings;
    const intent: RayJob = {
      executor: "ray",
      ...(await intentOf(job, jobName(basename(runFolder)))),
      address,
      isSubmitted: false,
    };
    await prepareJob(job, intent.name, rayJobScript(job, intent.name, settings, process.env));
    await keep(intent);
    await this.#post(intent, runFolder, settings);
    return { ...intent, isSubmitted: true };
  }

  async state(folder: string, job: RayJob): Promise<JobStanding> {
    const standing = await standingOfJob(folder, job.name, () => this.#answerOn(folder, job));
    if (standing.state === "gone") this.#answers.delete(job.name);
    return standing;
  }

  async cancel(folder: string, job: RayJob): Promise<void> {
    await noteStop(folder, job.name);
    const { stopSeconds } = await readSettings("ray");
    const client = await this.#clientOf(job);
    const info = await client.job(job.name);
    const isGone = async (): Promise<boolean> => {
      const found = await client.job(job.name);
      return found === undefined || standingOf(found).state === "gone";
    };
    if (info !== undefined && standingOf(info).state !== "gone") {
      await showCancel(folder);
      await client.stop(job.name);
      // Ray ends the job by force when its time is up, which no one can shorten.
      if (!(await trueWithin(stopSeconds * 1000 + this.#times.killMs, isGone)))
        throw new NotStoppedError(`Ray has not ended job ${job.name} within ${stopSeconds} s; it was told to.`);
    }
    await noteCancelled(folder, job.name);
    this.#answers.delete(job.name);
  }

  process(): undefined {
    return undefined;
  }

  /** What Ray says of a job, or said a moment ago. */
  async #answerOn(folder: string, job: RayJob): Promise<FoundJob> {
    const answer = this.#answers.get(job.name);
    if (answer !== undefined && performance.now() - answer.atMs < this.#times.freshMs) return await answer.found;
    const found = this.#ask(folder, job);
    this.#answers.set(job.name, { atMs: performance.now(), found });
    return await found;
  }

  async #ask(folder: string, job: RayJob): Promise<FoundJob> {
    let info: RayJobInfo | undefined;
    try {
      info = await (await this.#clientOf(job)).job(job.name);
    } catch (error) {
      if (!(error instanceof LfpError)) throw error;
      return { standing: { state: "unknown", why: messageOf(error).replace(/\.$/, "") }, isListed: false };
    }
    const standing = info === undefined ? await this.#absent(folder, job) : await standingByRay(folder, job, info);
    return { standing, isListed: info !== undefined };
  }

  /**
   * A client for a job's cluster. The record stands in a run folder, which may come from anywhere: the user's token goes
   * to the address of the user's own settings only. Throws `OtherRayError` and what `readSettings` throws.
   */
  async #clientOf({ address }: RayJob): Promise<RayClient> {
    const settings = await readSettings("ray");
    if (settings.address !== address) throw new OtherRayError(address, settings.address);
    return new RayClient(address, process.env, this.#times.commandMs);
  }

  /** Submits a job; where an answer is missing or odd, looks whether Ray has it. Throws `JobNotStartedError`. */
  async #post(job: RayJob, runFolder: string, settings: RaySettings): Promise<void> {
    const client = new RayClient(settings.address, process.env, this.#times.commandMs);
    const submission = submissionOf(job, runFolder, settings);
    for (let attempt = 1; ; attempt++) {
      try {
        return await client.submit(submission);
      } catch (error) {
        const isThere = (await client.job(job.name).catch(() => undefined)) !== undefined;
        if (isThere) return;
        const isClear = error instanceof RayError && error.status !== undefined && error.status < 500;
        if (!isClear && error instanceof RayError && attempt < ATTEMPTS) continue;
        const why = messageOf(error).replace(/\.$/, "");
        await noteNotSubmitted(runFolder, job.name, why);
        throw error instanceof RayError ? new JobNotStartedError(`The job was not submitted: ${why}.`) : error;
      }
    }
  }

  /** The standing of a job that Ray does not know. */
  async #absent(folder: string, job: RayJob): Promise<JobStanding> {
    const exit = await scriptExit(folder, job.name);
    if (exit !== undefined) return standingOfExit(folder, exit);
    if (!job.isSubmitted && (await isStopped(folder, job.name))) return { state: "gone", how: "stopped" };
    if (!job.isSubmitted && (await livenessOf(job.submitter)) === "gone") {
      // Its request may still be on its way: the job is not to begin.
      await noteStop(folder, job.name);
      return { state: "gone", why: "its submitter ended before Ray had the job", how: "passing" };
    }
    if ((await absentForMs(folder, job.name)) < this.#times.absentMs)
      return { state: "unknown", why: "Ray does not know its job" };
    if (await givesSignsOfLife(folder, job.name))
      return { state: "unknown", why: "Ray does not know its job, whose process still works" };
    // A cluster that was started anew has forgotten all jobs and ended them.
    return { state: "gone", why: "Ray no longer knows its job", how: "passing" };
  }
}

/** The same submission may be repeated: Ray takes its id once. */
const ATTEMPTS = 2;

/** What Ray is asked to run for a run. */
export function submissionOf({ name }: Pick<RayJob, "name">, runFolder: string, settings: RaySettings): RaySubmission {
  const { cpus, gpus, memoryGb, resources, stopSeconds } = settings;
  return {
    entrypoint: `exec bash ${quote(notePaths(runFolder, name).script)}`,
    submission_id: name,
    metadata: { lfp: basename(runFolder) },
    runtime_env: { env_vars: { RAY_JOB_STOP_WAIT_TIME_S: String(stopSeconds) } },
    ...(cpus === undefined ? {} : { entrypoint_num_cpus: cpus }),
    ...(gpus === undefined ? {} : { entrypoint_num_gpus: gpus }),
    ...(memoryGb === undefined ? {} : { entrypoint_memory: Math.round(memoryGb * 1e9) }),
    ...(Object.keys(resources).length === 0 ? {} : { entrypoint_resources: resources }),
  };
}

/** What Ray says of a job, where the job's own script has not said it better. */
async function standingByRay(folder: string, job: RayJob, info: RayJobInfo): Promise<JobStanding> {
  const standing = standingOf(info);
  if (standing.state !== "gone" || standing.how === "stopped") return standing;
  const exit = await scriptExit(folder, job.name);
  return exit === undefined ? standing : await standingOfExit(folder, exit);
}
