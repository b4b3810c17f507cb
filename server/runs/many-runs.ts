/** Many runs with one executor, at most some of them at a time. */
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, LfpError } from "../common/errors.ts";
import type { StageProgress } from "../protocol/run-events.ts";
import { readProgress } from "./event-tail.ts";
import type { JobSpec } from "./executor.ts";
import type { Place } from "./executor-settings.ts";
import { cancelRun, hasArrays, JobThereError, submitRun, submitRuns } from "./jobs.ts";
import { lastOutput } from "./last-output.ts";
import { RunFileError } from "./run-folder.ts";
import { LockedError } from "./run-lock.ts";
import { runStatus } from "./run-status.ts";
import type { AnyState } from "./state-words.ts";

/** How one of many runs ended, or how it stands when they are stopped. */
export interface EndedRun {
  readonly folder: string;
  readonly state: AnyState;
  /** Why it is not done, for people, with the code of a command that fails so; undefined when it is done. */
  readonly failure: { readonly code: ErrorCode; readonly message: string } | undefined;
}

/** A run that is to be started. */
export interface RunStart {
  readonly folder: string;
  /** Whether after an end for a passing reason. */
  readonly isAgain: boolean;
}

export interface ManyRuns {
  /** The runs' folders, in the order of their start. */
  readonly folders: readonly string[];
  /** How many may work at once; as many at most are submitted one by one, all at once where the executor sees to it. */
  readonly atMost: number;
  /** Whether finished runs are started once more, to compute what has changed since; they are left alone by default. */
  readonly redo?: boolean;
  /** Aborting it starts no more runs. */
  readonly signal: AbortSignal;
  /** Whether an abort stops the runs that are started, each after a checkpoint, or leaves them alone. */
  readonly onAbort: "stop" | "leave";
  /** Where the runs are started. */
  readonly place: Place;
  /** What to start for a run. */
  readonly jobOf: (run: RunStart) => Promise<JobSpec>;
  /** Called when a run's state has changed, and with the reason while it cannot be asked after. */
  readonly onState: (folder: string, state: AnyState | { readonly kind: "unknown"; readonly why: string }) => void;
  /** Called now and then with how far a working run's stage is. */
  readonly onProgress?: (folder: string, stage: string, progress: StageProgress) => void;
  /** How long at least between two such calls, for whichever runs, in milliseconds. */
  readonly progressMs?: number;
  /** How long each run that is stopped may take, in milliseconds. */
  readonly graceMs?: number;
  readonly pollMs?: number;
}

/**
 * Brings runs to their ends and returns these in the order of the folders. Finished runs are left alone unless `redo`, and runs
 * that something works on already are followed, so that whoever was killed in the middle can begin anew. A run that fails
 * affects no other. Throws only for defects.
 */
export async function runMany(many: ManyRuns): Promise<EndedRun[]> {
  const runner = new Runner(many);
  await runner.run();
  return many.folders.map((folder) => runner.ended.get(folder) ?? stopped(folder, { kind: "new" }));
}

const POLL_MS = 1000;
const PROGRESS_MS = 3000;
/** So many runs are looked at in one interval; more have longer ones, as their folders may be on a disk that many use. */
const LOOKS_PER_POLL = 50;

interface Working {
  readonly stage: string;
  readonly told: string;
}

class Runner {
  readonly ended = new Map<string, EndedRun>();
  readonly #many: ManyRuns;
  /** Not started yet, in order. */
  readonly #todo: RunStart[] = [];
  /** Started, with the state that was told last. */
  readonly #active = new Map<string, string>();
  /** Those that work, with their stage and its progress that was told last; the first is the next to be told of. */
  readonly #working = new Map<string, Working>();
  #toldMs = Number.NEGATIVE_INFINITY;
  /** Whether runs are submitted one by one, since there are no arrays here. */
  #isOneByOne: boolean;

  constructor(many: ManyRuns) {
    this.#many = many;
    this.#isOneByOne = !hasArrays(many.place);
  }

  async run(): Promise<void> {
    const { folders, signal, atMost, onAbort, pollMs = POLL_MS } = this.#many;
    for (const folder of folders) await this.#sort(folder);
    while (!signal.aborted && this.#todo.length + this.#active.size > 0) {
      while (this.#active.size < atMost && this.#todo.length > 0 && !signal.aborted) await this.#start();
      await delay(pollMs * Math.ceil(this.#active.size / LOOKS_PER_POLL), undefined, { signal }).catch(() => undefined);
      for (const folder of this.#active.keys()) await this.#look(folder);
      await this.#tellProgress();
    }
    if (signal.aborted) await (onAbort === "stop" ? this.#stop() : this.#leave());
  }

  /** Sorts a run by how it stands before anything is started. */
  async #sort(folder: string): Promise<void> {
    const status = await runStatus(folder).catch((error: unknown) => errorOf(error));
    if (status instanceof RunFileError) this.#end(folder, stateOfError(status));
    else if (status instanceof Error) this.#active.set(folder, "");
    else if (status.work !== "gone") this.#follow(folder, status.state);
    else if (status.state.kind === "done" && this.#many.redo !== true)
      this.ended.set(folder, { folder, state: status.state, failure: undefined });
    else this.#todo.push({ folder, isAgain: false });
  }

  /** Starts the next run, or all as one array. */
  async #start(): Promise<void> {
    if (this.#todo.length > 1 && !this.#isOneByOne && (await this.#startAll())) return;
    const run = this.#todo.shift();
    if (run === undefined) return;
    const failure = await this.#submit(run).then(() => undefined, errorOf);
    this.#started(run.folder, failure);
  }

  async #submit(run: RunStart): Promise<void> {
    await submitRun(await this.#many.jobOf(run), this.#many.place);
  }

  /** Starts all runs as one array; false where there can be none. */
  async #startAll(): Promise<boolean> {
    const { jobOf, place, atMost } = this.#many;
    const runs = [...this.#todo];
    const made = await Promise.all(runs.map((run) => jobOf(run).catch(errorOf)));
    const jobs = made.filter((job): job is JobSpec => !(job instanceof Error));
    const outcome = await submitRuns(jobs, atMost - this.#active.size, place).catch(errorOf);
    const failures = outcome === undefined || outcome instanceof Error ? [] : outcome;
    const failureOfJob = new Map(jobs.map((job, at) => [job, failures[at]]));
    this.#isOneByOne = outcome === undefined;
    if (outcome === undefined) return false;
    this.#todo.length = 0;
    for (const [at, { folder }] of runs.entries()) {
      const job = made[at];
      if (job === undefined || job instanceof Error) this.#started(folder, job);
      else this.#started(folder, outcome instanceof Error ? outcome : failureOfJob.get(job));
    }
    return true;
  }

  #started(folder: string, failure: Error | undefined): void {
    if (failure === undefined) this.#follow(folder, { kind: "waiting", for: "its start" });
    // Something works on it already, such as a job of an earlier command: it is followed.
    else if (failure instanceof LockedError || failure instanceof JobThereError) this.#active.set(folder, "");
    else this.#end(folder, stateOfError(failure));
  }

  #follow(folder: string, state: AnyState): void {
    if (state.kind !== "running") this.#working.delete(folder);
    else if (this.#working.get(folder)?.stage !== state.stage)
      this.#working.set(folder, { stage: state.stage, told: "" });
    const text = JSON.stringify(state);
    if (this.#active.get(folder) === text) return;
    this.#active.set(folder, text);
    this.#many.onState(folder, state);
  }

  async #look(folder: string): Promise<void> {
    const status = await runStatus(folder).catch((error: unknown) => errorOf(error));
    if (status instanceof RunFileError) this.#end(folder, stateOfError(status));
    else if (status instanceof Error) {
      const why = status.message;
      if (this.#active.get(folder) !== why) this.#many.onState(folder, { kind: "unknown", why });
      this.#active.set(folder, why);
    } else if (status.work !== "gone") this.#follow(folder, status.state);
    else if (status.mayGoOn) this.#again(folder, status.state);
    else this.#end(folder, status.state, await lastOutput(folder));
  }

  /** Tells how far one of the runs is, each in its turn. */
  async #tellProgress(): Promise<void> {
    const { onProgress, progressMs = PROGRESS_MS } = this.#many;
    const [next] = this.#working;
    if (onProgress === undefined || next === undefined || performance.now() - this.#toldMs < progressMs) return;
    const [folder, { stage, told }] = next;
    const progress = await readProgress(folder, stage).catch(() => null);
    const text = JSON.stringify(progress);
    this.#working.delete(folder);
    this.#working.set(folder, { stage, told: text });
    if (progress === null || text === told) return;
    this.#toldMs = performance.now();
    onProgress(folder, stage, progress);
  }

  /** Puts a run first among those that are to be started. */
  #again(folder: string, state: AnyState): void {
    this.#follow(folder, state);
    this.#active.delete(folder);
    this.#todo.unshift({ folder, isAgain: true });
  }

  #end(folder: string, state: AnyState, words = ""): void {
    this.#follow(folder, state);
    this.#active.delete(folder);
    this.ended.set(folder, { folder, state, failure: failureOf(state, words) });
  }

  async #leave(): Promise<void> {
    for (const folder of this.#active.keys()) {
      const status = await runStatus(folder).catch((error: unknown) => errorOf(error));
      this.ended.set(folder, stopped(folder, status instanceof Error ? { kind: "interrupted" } : status.state));
    }
  }

  async #stop(): Promise<void> {
    const folders = [...this.#active.keys()];
    await Promise.all(
      folders.map(async (folder) => {
        try {
          await cancelRun(folder, this.#many.graceMs);
          const { state } = await runStatus(folder);
          this.ended.set(folder, stopped(folder, state));
        } catch (error) {
          this.#end(folder, stateOfError(error));
        }
      }),
    );
  }
}

/** How a run stands at an abort: it may have ended by itself just before. */
function stopped(folder: string, state: AnyState): EndedRun {
  if (state.kind === "done" || state.kind === "failed") return { folder, state, failure: failureOf(state, "") };
  return { folder, state, failure: { code: "cancelled", message: `${basename(folder)} was not run to its end` } };
}

/** An error as the end of the run that it stopped. An error that is not ours is a defect, and thrown. */
function stateOfError(error: unknown): AnyState {
  if (!(error instanceof LfpError) || error.code === "internal") throw error;
  return { kind: "failed", code: error.code, message: error.message, resumable: true };
}

function errorOf(error: unknown): Error {
  if (error instanceof Error && !(error instanceof LfpError && error.code === "internal")) return error;
  throw error;
}

function failureOf(state: AnyState, words: string): EndedRun["failure"] {
  if (state.kind === "done") return undefined;
  if (state.kind === "failed") return { code: state.code, message: state.message };
  if (state.kind === "cancelled") return { code: "cancelled", message: "it was stopped" };
  const why = state.kind === "interrupted" ? state.why : undefined;
  return { code: "resource", message: why ?? (words === "" ? "its process ended without a word" : words) };
}
