/** `lfp run --on` and `--detach`: a run that an executor has, and what this command sees of it. */
import { setTimeout as delay } from "node:timers/promises";
import { type ExperimentRun, submitExperimentRun } from "../pipeline/experiment-run.ts";
import { type Place, type PlaceKind, readPlace } from "../runs/executor-settings.ts";
import { followEvents } from "../runs/follow.ts";
import { JobThereError } from "../runs/jobs.ts";
import { LockedError } from "../runs/run-lock.ts";
import { runStatus } from "../runs/run-status.ts";
import { type AnyState, describeState } from "../runs/state-words.ts";
import type { CommandResult } from "./command.ts";
import { outcomeResult, ownCommand, type RunIo } from "./experiment-run.ts";
import { RunLines } from "./run-lines.ts";

export interface ElsewhereIo extends RunIo {
  readonly on: PlaceKind;
  /** Whether to return as soon as it is submitted. */
  readonly isDetached: boolean;
}

/**
 * Submits a run to an executor, or finds it there, and follows it to its end; submits it again where it was ended for a
 * reason that passes. An abort ends only the following. Throws what `submitRun` and `readPlace` throw, and
 * `RunFailedError`.
 */
export async function runElsewhere(run: ExperimentRun, io: ElsewhereIo): Promise<CommandResult> {
  const { folder } = run;
  const place = await readPlace(io.on, io.env);
  let after = io.isDetached ? 0 : await lastEvent(folder);
  const isNew = await submitUnlessThere(run, place, io, false);
  if (io.isDetached) return detached(folder, io.on);
  if (!isNew) after = 0;
  io.note(`${folder}: ${isNew ? "submitted" : "there already"}. Ctrl-C ends only this command.`);
  for (;;) {
    after = await follow(folder, after, io);
    if (io.signal.aborted) return left(folder);
    const { state, mayGoOn } = await runStatus(folder);
    if (!mayGoOn) return ended(run, state);
    // An editor that shows the run may have submitted it already.
    if (await submitUnlessThere(run, place, io, true))
      io.note(`${folder}: ${describeState(state)}; it is submitted again`);
  }
}

/** Submits the run; false if it is there already and this command is to follow it. */
async function submitUnlessThere(
  run: ExperimentRun,
  place: Place,
  io: ElsewhereIo,
  isAgain: boolean,
): Promise<boolean> {
  const options = ["--device", io.device];
  try {
    await submitExperimentRun(run, ownCommand(), process.cwd(), { options, place, isAgain, onWait: io.note });
    return true;
  } catch (error) {
    if (io.isDetached || !(error instanceof JobThereError || error instanceof LockedError)) throw error;
    return false;
  }
}

/** Prints a run's events after one, and what it waits for, until nothing works on it; returns the last one's number. */
async function follow(folder: string, after: number, { signal, note }: ElsewhereIo): Promise<number> {
  const lines = new RunLines();
  const over = new AbortController();
  const waits = tellWaits(folder, note, AbortSignal.any([signal, over.signal]));
  let last = after;
  try {
    for await (const event of followEvents(folder, { after, signal })) {
      last = event.seq;
      const line = lines.lineOf(event);
      if (line !== undefined) note(line);
    }
  } finally {
    over.abort();
    await waits;
  }
  return last;
}

const WAIT_POLL_MS = 2000;

/** Prints what a run waits for whenever that changes. */
async function tellWaits(folder: string, note: (line: string) => void, signal: AbortSignal): Promise<void> {
  let told = "";
  while (!signal.aborted) {
    const state = (await runStatus(folder).catch(() => undefined))?.state;
    const line = state?.kind === "waiting" ? describeState(state) : "";
    if (line !== "" && line !== told && !signal.aborted) note(line);
    told = line;
    await delay(WAIT_POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** The number of a resting run's last event; 0 if it has none, or is not at rest. */
async function lastEvent(folder: string): Promise<number> {
  let last = 0;
  if ((await runStatus(folder)).work === "gone") for await (const { seq } of followEvents(folder)) last = seq;
  return last;
}

async function ended(run: ExperimentRun, state: AnyState): Promise<CommandResult> {
  if (state.kind === "done" || state.kind === "failed" || state.kind === "cancelled") return outcomeResult(run, state);
  const { folder } = run;
  return { json: { folder, state }, text: `${folder}: ${describeState(state)}`, status: "requeue" };
}

function detached(folder: string, on: PlaceKind): CommandResult {
  return {
    json: { folder, detached: true, on },
    text: `${folder}: started. \`lfp status ${folder}\` says how it stands, \`lfp cancel ${folder}\` stops it.`,
  };
}

function left(folder: string): CommandResult {
  return {
    json: { folder, left: true },
    text: `${folder}: goes on without this command. \`lfp status ${folder} --follow\` follows it, \`lfp cancel ${folder}\` stops it.`,
    status: "cancelled",
  };
}
