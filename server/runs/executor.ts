import type { JobRecord } from "./job-record.ts";
import type { ProcessIdentity } from "./process-identity.ts";

/**
 * A job's state: `waiting` for a place to work (a cluster's queue) without a process of its own, `working`, or `gone`,
 * however it ended; the run folder records how.
 */
export type JobState = "waiting" | "working" | "gone";

/**
 * Starts runs somewhere, queries their state and stops them. Only the run folder holds a run's results and state, so
 * that executors in any number of processes agree; an executor keeps no state apart from caches.
 */
export interface Executor<R = JobRecord> {
  /** What a waiting job waits for, as a phrase: `a node of the cluster`. */
  readonly waitsFor: string;
  /**
   * Starts a process that outlives the caller. Throws `JobNotStartedError`. `submitRun` calls it, and keeps the record.
   */
  submit(job: JobSpec): Promise<R>;
  /**
   * Called about once a second for each run that is shown. Throws when the state is unknown: an error is never `gone`.
   */
  state(folder: string, record: R): Promise<JobState>;
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
}
