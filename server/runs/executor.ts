import { LfpError } from "../common/errors.ts";
import type { PlaceSettings } from "./executor-settings.ts";
import type { JobRecord } from "./job-record.ts";
import type { ProcessIdentity } from "./process-identity.ts";

/**
 * A job's state: `waiting` for a place to work (a cluster's queue) without a process of its own, `working`, `unknown`
 * as long as its executor does not answer or does not know it, or `gone`, however it ended; the run folder records how.
 */
export type JobState = "waiting" | "working" | "unknown" | "gone";

/** A job's state with what people want to know of it. */
export type JobStanding =
  /** `for`: what it waits for, as a phrase: `a node of the cluster`. */
  | { readonly state: "waiting"; readonly for: string }
  | { readonly state: "working" }
  /** `why`: a sentence without a full stop. */
  | { readonly state: "unknown"; readonly why: string }
  /**
   * `why` its executor ended it, a sentence without a full stop. `how`: `stopped` by somebody, or for a `passing` reason
   * (a lost node, a time limit), so that it may be submitted again without asking.
   */
  | { readonly state: "gone"; readonly why?: string | undefined; readonly how?: "stopped" | "passing" | undefined };

/** The environment variable that tells a process of a cluster's job the job's name; see `RunOptions.job`. */
export const JOB_VARIABLE = "LFP_JOB";

/** A run's process or job could not be started. */
export class JobNotStartedError extends LfpError {
  readonly code = "resource";
}

/** Jobs cannot be submitted as one array here, but one by one. */
export class ArrayRefusedError extends LfpError {
  readonly code = "resource";
}

/**
 * Starts runs somewhere, queries their state and stops them. Only the run folder holds a run's results and state, so
 * that executors in any number of processes agree; an executor keeps no state apart from caches.
 */
export interface Executor<R = JobRecord, S = PlaceSettings> {
  /**
   * Starts a process that outlives the caller. Where another system starts it, `keep` stores the record before that
   * system is asked, so that the job is found again whenever the caller is killed. Throws `JobNotStartedError`.
   * `submitRun` calls it, and keeps the returned record.
   */
  submit(job: JobSpec, settings: S, keep: (record: R) => Promise<void>): Promise<R>;
  /**
   * Starts jobs as `submit` does, as one array of which at most `atMost` work at a time. Absent where there is no such
   * thing. Throws `ArrayRefusedError` where these jobs can be submitted only one by one.
   */
  submitArray?(
    jobs: readonly JobSpec[],
    settings: S,
    options: { readonly atMost: number; readonly keep: (job: JobSpec, record: R) => Promise<void> },
  ): Promise<readonly R[]>;
  /**
   * Called about once a second for each run that is shown, unless its run folder tells already. Throws when it cannot
   * be asked: an error is never `gone`.
   */
  state(folder: string, record: R): Promise<JobStanding>;
  /**
   * Ends a waiting job; asks a working one to stop after a checkpoint, and kills it after `graceMs`. Returns when it is
   * gone. Throws `NotStoppedError`.
   */
  cancel(folder: string, record: R, graceMs?: number): Promise<void>;
  /** The process that the record names; undefined for jobs whose process another system knows. */
  process(record: R): ProcessIdentity | undefined;
}

/** What to start. */
export interface JobSpec {
  /** Absolute. */
  readonly runFolder: string;
  /** Program and arguments; they never pass through a shell. No secrets: every user of the machine can read them. */
  readonly argv: readonly [string, ...string[]];
  /** Working folder; the run folder unless given. */
  readonly cwd?: string;
  /** Added to the caller's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it goes on with a job that ended for a passing reason: limits on restarts count them together. */
  readonly isAgain?: boolean;
}
