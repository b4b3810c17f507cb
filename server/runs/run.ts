import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LfpError, messageOf } from "../common/errors.ts";
import { knownError } from "../common/system-errors.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import type { RunEvent, RunState } from "../protocol/run-events.ts";
import { CancelWatch, clearCancelRequest } from "./cancel.ts";
import { errnoOf, type FileSystem, makeFolder, StorageError } from "./files.ts";
import { isStopped } from "./job-notes.ts";
import { takeTurn } from "./machine-queue.ts";
import { checkRunName, runPaths } from "./run-folder.ts";
import { isLockLost, Lock, LockedError } from "./run-lock.ts";
import { RunSession } from "./run-session.ts";
import {
  type CheckpointPolicy,
  checkpointDue,
  findOutput,
  makeOutput,
  makeTask,
  type StageOptions,
  type Task,
} from "./run-stage.ts";
import { findShared, makeShared, type Obtained } from "./shared-stages.ts";
import { type PlannedStage, RunCancelledError } from "./stage.ts";
import { inOrder } from "./stage-order.ts";
import type { StageOutput } from "./stage-output.ts";

export interface RunOptions {
  /** An integer; every stage's random stream comes from it. */
  readonly seed: number;
  /** The device class, as far as it changes the numbers: `cpu`, `webgpu:nvidia-h200` ... */
  readonly deviceClass: string;
  /** Opens the device of that class for a stage; the CPU by default. */
  readonly openDevice?: () => Promise<Device>;
  /** Opens up to so many of them that compute side by side; one by `openDevice` by default. */
  readonly openDevices?: (most: number) => Promise<readonly Device[]>;
  /** Versions to record besides those of Node and the platform. */
  readonly versions?: Readonly<Record<string, string>>;
  /** Aborting it asks the run to stop at its next step, after a checkpoint. */
  readonly signal?: AbortSignal;
  /** Called with every event after it has been written to `events.jsonl`. */
  readonly onEvent?: (event: RunEvent) => void;
  /** How existing outputs are verified; `fast` reads only files whose time or size has changed. */
  readonly check?: "fast" | "full";
  readonly checkpointDue?: CheckpointPolicy;
  /** Whether stages wait for the machine's one turn to train; true by default. */
  readonly queued?: boolean;
  /** The folder in which runs share their stages; each run has its own outputs by default. */
  readonly shared?: string | undefined;
  /**
   * Name of the executor's job that this process is of. Its cluster has given the job its node, so it waits for no turn
   * of the machine; where a lost process of the run may still hold its lock, it waits for that process to count as dead.
   * A job that was told to stop before it had the lock leaves the folder as it is: another job may have done the run. One
   * that is told so later saves a checkpoint and ends.
   */
  readonly job?: string;
  /** Where the machine's queue is; see `stateFolder`. */
  readonly stateFolder?: string;
  readonly files?: FileSystem;
}

/** How a run ended. */
export type RunOutcome = Extract<RunState, { kind: "done" | "failed" | "cancelled" }>;

/**
 * Executes a run until it is done, fails or is cancelled. Takes the stages of the plan and their dependencies in
 * dependency order, reuses existing outputs, resumes from checkpoints, and records everything in `folder`, whose last
 * path component is the run's name.
 *
 * Returns the outcome, which `run.json` also holds. Throws only where it may not write to the run folder: `LockedError`
 * (another process works on it), `LockLostError`, `RunNameError`, and `StorageError` when the folder cannot even be
 * locked.
 */
export async function runPipeline(
  plan: readonly PlannedStage[],
  folder: string,
  options: RunOptions,
): Promise<RunOutcome> {
  const name = basename(resolve(folder));
  checkRunName(name);
  const stages = inOrder(plan);
  const lock = await lockRun(folder, name, options);
  const cancel = new CancelWatch(folder, options.job);
  let outcome: RunOutcome | undefined;
  try {
    if (options.job !== undefined && (await isStopped(folder, options.job))) return { kind: "cancelled" };
    const signal = AbortSignal.any([cancel.signal, lock.lost, ...(options.signal ? [options.signal] : [])]);
    outcome = await workUnderLock(stages, folder, name, { ...options, signal });
    if (lock.lost.aborted) throw lock.lost.reason;
    return outcome;
  } finally {
    cancel.close();
    if (cancel.signal.aborted) await clearCancelRequest(folder).catch(() => undefined);
    await giveBack(lock, outcome);
  }
}

/** Releases the lock. After a failed run an error in this is ignored: the end of this process frees the lock. */
async function giveBack(lock: Lock, outcome: RunOutcome | undefined): Promise<void> {
  try {
    await lock.release();
  } catch (cause) {
    if (outcome?.kind === "done")
      throw new StorageError("The run is done, but its lock could not be given back", cause);
  }
}

/** The run folder disappeared while the run worked in it. */
export class RunGoneError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string, cause: unknown) {
    super(
      `${folder} is gone: it was deleted, moved or renamed while the run worked in it. Where it was moved, move it back; the same command then goes on.`,
      { cause },
    );
  }
}

const LOCK_POLL_MS = 5000;
/** How long a job waits for the lock: a little longer than a silent holder elsewhere counts as alive. */
const JOB_LOCK_WAIT_MS = 360_000;

async function lockRun(folder: string, name: string, { job, signal }: RunOptions): Promise<Lock> {
  const deadlineMs = performance.now() + (job === undefined ? 0 : JOB_LOCK_WAIT_MS);
  try {
    await makeFolder(runPaths(folder).stages);
    for (;;) {
      try {
        return await Lock.acquire(runPaths(folder).lock, `run ${name}`, `run ${name}`, job);
      } catch (error) {
        const isPatient = error instanceof LockedError && performance.now() < deadlineMs;
        if (!isPatient || signal?.aborted === true) throw error;
        await delay(LOCK_POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
      }
    }
  } catch (error) {
    throw errnoOf(error) === undefined ? error : new StorageError(`${folder} could not be locked`, error);
  }
}

async function workUnderLock(
  stages: readonly PlannedStage[],
  folder: string,
  name: string,
  options: RunOptions & { readonly signal: AbortSignal },
): Promise<RunOutcome> {
  const turn = new Turn();
  let session: RunSession | undefined;
  let outcome: RunOutcome;
  try {
    session = await RunSession.open(folder, name, stages, options);
    await runStages(stages, session, options, turn);
    outcome = { kind: "done" };
  } catch (error) {
    const isGone = await stat(runPaths(folder).lock).then(
      () => false,
      (cause: unknown) => errnoOf(cause) === "ENOENT",
    );
    outcome = outcomeOf(isGone ? new RunGoneError(folder, error) : error, session?.currentStage, options.signal);
    if (knownError(error) === undefined) session?.tryMessage(stackOf(error));
  }
  if (!isLockLost(options.signal)) {
    // When the disk is full this may fail too. Then `run.json` still says `running`, which readers take for interrupted
    // once the process is gone; the outcome is returned all the same.
    await session?.setState(outcome).catch(() => undefined);
  }
  session?.close();
  await turn.end();
  return outcome;
}

async function runStages(
  stages: readonly PlannedStage[],
  session: RunSession,
  options: RunOptions & { readonly signal: AbortSignal },
  turn: Turn,
): Promise<void> {
  const outputs = new Map<PlannedStage, StageOutput>();
  const openDevice = options.openDevice ?? (() => createCpuDevice());
  const settings = {
    ...options,
    checkpointDue: options.checkpointDue ?? checkpointDue,
    check: options.check ?? "fast",
    openDevice,
    openDevices: options.openDevices ?? (async () => [await openDevice()]),
  };
  for (const planned of stages) {
    if (options.signal.aborted) throw new RunCancelledError();
    session.lookAt(planned.id);
    const task = makeTask(planned, outputs, session, settings);
    const { output, status } =
      (await findStage(task, session, settings)) ?? (await makeStage(task, session, settings, turn));
    await session.settle(planned, output, status);
    outputs.set(planned, output);
  }
  await session.finish();
}

type StageSettings = StageOptions & RunOptions & { readonly check: "fast" | "full"; readonly signal: AbortSignal };

/** The stage's output in the run's folder, or in the one that runs share. */
async function findStage(
  task: Task,
  session: RunSession,
  { check, shared }: StageSettings,
): Promise<Obtained | undefined> {
  const own = await findOutput(task, session, check);
  const output = own ?? (shared === undefined ? undefined : await findShared(shared, task, session, check));
  return output === undefined ? undefined : { output, status: "reused" };
}

async function makeStage(task: Task, session: RunSession, settings: StageSettings, turn: Turn): Promise<Obtained> {
  await turn.take(session, settings);
  if (settings.shared !== undefined) return await makeShared(settings.shared, task, session, settings);
  return { output: await makeOutput(task, session, settings), status: "done" };
}

/** The machine's turn to train, taken at the first stage that has to be computed. */
class Turn {
  #lock: Lock | undefined;

  async take(session: RunSession, options: RunOptions & { readonly signal: AbortSignal }): Promise<void> {
    if (options.queued === false || options.job !== undefined || this.#lock !== undefined) return;
    const { signal, stateFolder } = options;
    this.#lock = await takeTurn({
      purpose: `run ${session.name}`,
      signal,
      onWait: (forWhom) => session.setState({ kind: "waiting", for: forWhom }),
      ...(stateFolder === undefined ? {} : { stateFolder }),
    });
  }

  async end(): Promise<void> {
    // The state folder's disk failed: the end of this process frees the turn.
    await this.#lock?.release().catch(() => undefined);
  }
}

function outcomeOf(error: unknown, stage: string | undefined, signal: AbortSignal): RunOutcome {
  const where = stage === undefined ? {} : { stage };
  const isAbort = error instanceof Error && error.name === "AbortError";
  if (error instanceof RunCancelledError || (signal.aborted && (isAbort || error === signal.reason))) {
    return { kind: "cancelled", ...where };
  }
  const known = knownError(error, "The run could not go on") ?? error;
  const code = known instanceof LfpError ? known.code : "internal";
  // These are deterministic: a retry with the same settings would end the same way.
  const resumable = code !== "usage" && code !== "input" && code !== "non-finite";
  return { kind: "failed", code, message: messageOf(known), ...where, resumable };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
