import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { parseJson } from "../common/json.ts";
import { disk, remove, textIfThere } from "./files.ts";
import { isStopped } from "./job-notes.ts";
import { isSameProcess, ProcessIdentity, thisProcess } from "./process-identity.ts";
import { runPaths } from "./run-folder.ts";

/** `cancel.json`: asks one process, and no later one, to stop. */
const CancelRequest = z.object({ target: ProcessIdentity, requestedAt: z.string() });

/** Writes a cancel request for the process that works on a run; it stops at its next step, after a checkpoint. */
export async function requestCancel(folder: string, target: ProcessIdentity): Promise<void> {
  const request = { target, requestedAt: new Date().toISOString() };
  await writeFileAtomically(runPaths(folder).cancel, JSON.stringify(request));
}

/** The process that a cancel request asks to stop; undefined if none is asked. Throws for an unreadable request. */
export async function cancelTarget(folder: string): Promise<ProcessIdentity | undefined> {
  const text = await textIfThere(runPaths(folder).cancel, "record");
  return text === undefined ? undefined : CancelRequest.parse(parseJson(text)).target;
}

/** Removes a cancel request, withdrawn or fulfilled. */
export async function clearCancelRequest(folder: string): Promise<void> {
  await remove(runPaths(folder).cancel, disk);
}

/**
 * Polls for requests to this process, and to the executor's job that it is of, until `close`; aborts `signal` when it finds
 * one. A job may be told to stop only after it has begun: it was thought lost, and another has been submitted.
 */
export class CancelWatch {
  readonly #controller = new AbortController();
  readonly #folder: string;
  readonly #job: string | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(folder: string, job?: string) {
    this.#folder = folder;
    this.#job = job;
    this.#timer = setInterval(() => {
      this.#look().catch(() => undefined);
    }, POLL_MS);
    this.#timer.unref();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#job !== undefined && (await isStopped(this.#folder, this.#job))) this.#controller.abort();
    const target = await cancelTarget(this.#folder);
    if (target !== undefined && isSameProcess(target, await thisProcess())) this.#controller.abort();
  }
}

/**
 * Turns the signals by which systems ask a process to end (SIGTERM, SIGINT, SIGHUP) into an abort, for the main program
 * of a run. A second Ctrl-C (SIGINT) ends the process at once, as by default. The others may come twice without anybody
 * being impatient, since a cluster signals both a job's script, which passes it on, and the process; SIGKILL is there.
 */
export function abortOnTermination(): { readonly signal: AbortSignal; readonly dispose: () => void } {
  const controller = new AbortController();
  const names = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  const dispose = () => {
    for (const name of names) process.off(name, listener);
  };
  const listener = () => {
    process.off("SIGINT", listener);
    controller.abort();
  };
  for (const name of names) process.on(name, listener);
  return { signal: controller.signal, dispose };
}

const POLL_MS = 500;
