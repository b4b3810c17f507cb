/** Many runs with one executor, at most some of them at a time. */
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, LfpError } from "../common/errors.ts";
import { cancelRun, JobThereError } from "./jobs.ts";
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

export interface ManyRuns {
  /** The runs' folders, in the order of their start. */
  readonly folders: readonly string[];
  /** How many may wait for the executor or work at once. */
  readonly atMost: number;
  /** Aborting it starts no more runs. */
  readonly signal: AbortSignal;
  /** Whether an abort stops the runs that are started, each after a checkpoint, or leaves them alone. */
  readonly onAbort: "stop" | "leave";
  /** Starts a run with the executor; `isAgain` after an end for a passing reason. */
  readonly submit: (folder: string, isAgain: boolean) => Promise<unknown>;
  /** Called when a run's state has changed, and with the reason while it cannot be asked after. */
  readonly onState: (folder: string, state: AnyState | { readonly kind: "unknown"; readonly why: string }) => void;
  /** How long each run that is stopped may take, in milliseconds. */
  readonly graceMs?: number;
  readonly pollMs?: number;
}

/**
 * Brings runs to their ends and returns these in the order of the folders. Finished runs are left alone, and runs that
 * something works on already are followed, so that whoever was killed in the middle can begin anew. A run that fails
 * affects no other. Throws only for defects.
 */
export async function runMany(many: ManyRuns): Promise<EndedRun[]> {
  const runner = new Runner(many);
  await runner.run();
  return many.folders.map((folder) => runner.ended.get(folder) ?? stopped(folder, { kind: "new" }));
}

const POLL_MS = 1000;

class Runner {
  readonly ended = new Map<string, EndedRun>();
  readonly #many: ManyRuns;
  /** Not started yet, in order. */
  readonly #todo: string[] = [];
  /** Started, with the state that was told last. */
  readonly #active = new Map<string, string>();

  constructor(many: ManyRuns) {
    this.#many = many;
  }

  async run(): Promise<void> {
    const { folders, signal, atMost, onAbort, pollMs = POLL_MS } = this.#many;
    for (const folder of folders) await this.#sort(folder);
    while (!signal.aborted && this.#todo.length + this.#active.size > 0) {
      while (this.#active.size < atMost && this.#todo.length > 0 && !signal.aborted) await this.#start();
      await delay(pollMs, undefined, { signal }).catch(() => undefined);
      for (const folder of this.#active.keys()) await this.#look(folder);
    }
    if (signal.aborted) await (onAbort === "stop" ? this.#stop() : this.#leave());
  }

  /** Sorts a run by how it stands before anything is started. */
  async #sort(folder: string): Promise<void> {
    const status = await runStatus(folder).catch((error: unknown) => errorOf(error));
    if (status instanceof RunFileError) this.#end(folder, stateOfError(status));
    else if (status instanceof Error) this.#active.set(folder, "");
    else if (status.work !== "gone") this.#follow(folder, status.state);
    else if (status.state.kind === "done") this.ended.set(folder, { folder, state: status.state, failure: undefined });
    else this.#todo.push(folder);
  }

  async #start(): Promise<void> {
    const folder = this.#todo.shift();
    if (folder !== undefined) await this.#submit(folder, false);
  }

  async #submit(folder: string, isAgain: boolean): Promise<void> {
    try {
      await this.#many.submit(folder, isAgain);
      this.#follow(folder, { kind: "waiting", for: "its start" });
    } catch (error) {
      // Something works on it already, such as a job of an earlier command: it is followed.
      if (error instanceof LockedError || error instanceof JobThereError) this.#active.set(folder, "");
      else this.#end(folder, stateOfError(error));
    }
  }

  #follow(folder: string, state: AnyState): void {
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
    else if (status.mayGoOn) await this.#submit(folder, true);
    else this.#end(folder, status.state, await lastOutput(folder));
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
          this.ended.set(
            folder,
            state.kind === "done" ? { folder, state, failure: undefined } : stopped(folder, state),
          );
        } catch (error) {
          this.#end(folder, stateOfError(error));
        }
      }),
    );
  }
}

function stopped(folder: string, state: AnyState): EndedRun {
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
