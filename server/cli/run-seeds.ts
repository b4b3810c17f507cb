/** `lfp run --seeds`: one run per seed, one after the other, then a report over them. */

import { basename } from "node:path";
import { LfpError } from "../common/errors.ts";
import { packageVersion } from "../common/package-root.ts";
import { openExperimentRun } from "../pipeline/experiment-run.ts";
import { planSeeds } from "../pipeline/plan-seeds.ts";
import { type RunOutcome, runPipeline } from "../runs/run.ts";
import { describeState } from "../runs/state-words.ts";
import type { CommandResult } from "./command.ts";
import { UsageError } from "./errors.ts";
import { type ExperimentOptions, RunFailedError, type RunIo, runStages, seedOf } from "./experiment-run.ts";
import { readReport } from "./report.ts";

/** How one seed's run ended. */
interface Ended {
  readonly seed: number;
  readonly folder: string;
  readonly state: RunOutcome;
  /** The error that the command would throw if this were the only run. */
  readonly failure: LfpError | null;
}

/** Maximum number of runs of one command. */
const mostSeeds = 100;

/** `5`: seeds 1 to 5; `1,4,9`: these. Throws `UsageError`. */
export function seedsOf(text: string): number[] {
  const fail = (reason: string): never => {
    throw new UsageError(`--seeds is ${JSON.stringify(text.slice(0, 100))}; ${reason}`);
  };
  if (/^\d+$/.test(text)) {
    const count = Number(text);
    if (count < 1 || count > mostSeeds)
      fail(`expected a number of runs from 1 to ${mostSeeds}, or a list such as 1,2,3`);
    return Array.from({ length: count }, (_, at) => at + 1);
  }
  const seeds = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => seedOf(part, "--seeds"));
  if (seeds.length === 0 || seeds.length > mostSeeds) fail(`expected 1 to ${mostSeeds} seeds, as 5 or 1,2,3`);
  if (new Set(seeds).size < seeds.length) fail("a seed stands there twice");
  return seeds;
}

/**
 * Executes the runs of all seeds, resuming unfinished and skipping finished ones; then reports over those that
 * finished. Throws the first failed run's error if none finished, and what `runPipeline` throws for the report's own
 * folder.
 */
export async function runSeeds(
  reference: string,
  seeds: readonly number[],
  { out, download }: Pick<ExperimentOptions, "out" | "download">,
  io: RunIo,
): Promise<CommandResult> {
  const ended: Ended[] = [];
  for (const seed of seeds) {
    const one = await runSeed(reference, seed, { out, download, place: `${ended.length + 1} of ${seeds.length}` }, io);
    ended.push(one);
    if (one.state.kind === "cancelled") return stopped(ended);
  }
  const finished = ended.filter(({ failure }) => failure === null);
  const [first] = ended;
  const lost = ended.find(({ failure }) => failure !== null);
  if (first === undefined || finished.length === 0) throw lost?.failure ?? new UsageError("--seeds names no seed");
  const folder = first.folder.replace(/-seed\d+$/, "-seeds");
  const result = await reportOver(folder, ended, io);
  const status = lost?.failure?.code;
  return {
    json: { folder, seeds: ended.map(plain), report: result.json },
    text: `${result.text}\nThe report over seeds is in ${folder}, each seed's run beside it.`,
    ...(status === undefined ? {} : { status }),
  };
}

async function runSeed(
  reference: string,
  seed: number,
  { place, ...options }: Pick<ExperimentOptions, "out" | "download"> & { readonly place: string },
  io: RunIo,
): Promise<Ended> {
  let folder = `seed ${seed}`;
  try {
    const run = await openExperimentRun(reference, { ...options, seed, suffix: `-seed${seed}` });
    folder = run.folder;
    io.note(`seed ${seed} (${place}): ${folder}`);
    const state = await runStages(run, io);
    return { seed, folder, state, failure: state.kind === "failed" ? new RunFailedError(folder, state) : null };
  } catch (error) {
    // A run that could not start affects its own seed only; an error that is not ours is a bug and ends the command.
    if (!(error instanceof LfpError) || error.code === "internal" || io.signal.aborted) throw error;
    io.note(`seed ${seed}: ${error.message}`);
    const { code, message } = error;
    return { seed, folder, state: { kind: "failed", code, message, resumable: true }, failure: error };
  }
}

/** Runs the single stage over all seeds and returns its report. Throws `RunFailedError`. */
async function reportOver(folder: string, ended: readonly Ended[], { signal }: RunIo): Promise<CommandResult> {
  const runs = ended.map(({ seed, folder: run, failure }) => ({
    seed,
    folder: run,
    failure: failure?.message ?? null,
  }));
  const plan = await planSeeds(basename(folder), runs);
  const outcome = await runPipeline([plan], folder, {
    seed: ended[0]?.seed ?? 0,
    deviceClass: "cpu",
    versions: { "lfp-lens": packageVersion() },
    queued: false,
    signal,
  });
  if (outcome.kind === "failed") throw new RunFailedError(folder, outcome);
  signal.throwIfAborted();
  return readReport(folder);
}

function stopped(ended: readonly Ended[]): CommandResult {
  const last = ended.at(-1);
  const done = ended.filter(({ state }) => state.kind === "done").length;
  return {
    json: { seeds: ended.map(plain), state: last?.state ?? null },
    text: `${last?.folder}: ${last === undefined ? "" : describeState(last.state)} (${done} seeds are done)`,
    status: "requeue",
  };
}

function plain({ seed, folder, state }: Ended): { seed: number; folder: string; state: RunOutcome } {
  return { seed, folder, state };
}
