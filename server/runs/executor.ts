import type { RunStatus } from "./run-status.ts";

/**
 * Starts, watches and stops runs somewhere: `LocalExecutor` on this machine. The truth about a
 * run lives in its folder, not in the executor, so that any number of executors in any number of processes agree.
 */
export interface Executor {
  /** Starts a run that does not end with the caller. Throws `LockedError` when a process works on it already. */
  submit(job: JobSpec): Promise<JobHandle>;
  /** The status of each, in the order given. */
  poll(handles: readonly JobHandle[]): Promise<RunStatus[]>;
  /** What the process has written on its standard output and error, from this byte on; empty when there is nothing new. */
  logs(handle: JobHandle, offset: number): Promise<Uint8Array>;
  /** Asks the run to stop after a checkpoint, waits until it has, and ends it by force after `graceMs`. */
  cancel(handle: JobHandle, graceMs?: number): Promise<void>;
  /** The runs that are alive, whoever started them. */
  adopt(): Promise<JobHandle[]>;
}

/** Names a run to its executor. */
export interface JobHandle {
  /** Absolute. */
  readonly runFolder: string;
}

/** What to start. */
export interface JobSpec extends JobHandle {
  /** Program and arguments; they never pass through a shell. No secrets: every user of the machine can read them. */
  readonly argv: readonly [string, ...string[]];
  /** Working folder; the run folder unless given. */
  readonly cwd?: string;
  /** Added to the caller's environment. */
  readonly env?: Readonly<Record<string, string>>;
}
