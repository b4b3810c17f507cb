/** `lfp run --seeds`: one run per seed, by the machinery of sweeps, then a report over them. */

import { basename } from "node:path";
import { LfpError } from "../common/errors.ts";
import { packageVersion } from "../common/package-root.ts";
import { feedbackCost } from "../pipeline/experiment/feedback-settings.ts";
import { findExperimentRun, openExperimentRun } from "../pipeline/experiment-run.ts";
import { planSeeds } from "../pipeline/plan-seeds.ts";
import { recordMembers } from "../pipeline/sweep/members.ts";
import { runSweep, type SweepRunEnd } from "../pipeline/sweep/run-sweep.ts";
import type { PlacedRun } from "../pipeline/sweep/sweep-folder.ts";
import type { PlaceKind } from "../runs/executor-settings.ts";
import { runPipeline } from "../runs/run.ts";
import type { AnyState } from "../runs/state-words.ts";
import type { CommandResult } from "./command.ts";
import { UsageError } from "./errors.ts";
import { type ExperimentOptions, RunFailedError, type RunIo, seedOf } from "./experiment-run.ts";
import { errorOfRun, manyRuns } from "./many-runs.ts";
import { readReport } from "./report.ts";

/** How one seed's run ended. */
interface Ended {
  readonly seed: number;
  readonly folder: string;
  readonly state: AnyState;
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

export interface SeedsOptions extends Pick<ExperimentOptions, "out" | "download"> {
  readonly on: PlaceKind;
  readonly atMost: string | undefined;
}

/**
 * Brings the runs of all seeds to their ends as a sweep does, resuming unfinished ones and computing nothing of finished ones
 * again; then reports over those that finished. Throws the first failed run's error if none finished, and what `runSweep` and, for the report's
 * own folder, `runPipeline` throw.
 */
export async function runSeeds(
  reference: string,
  seeds: readonly number[],
  { on, atMost, ...options }: SeedsOptions,
  io: RunIo,
): Promise<CommandResult> {
  const many = await manyRuns({ on, atMost }, io);
  const { experiment, folder } = await findExperimentRun(reference, { ...options, suffix: "-seeds" });
  const cost = feedbackCost(experiment);
  if (cost !== undefined) io.note(`each seed: ${cost}`);
  const unopened = new Map<number, Ended>();
  const runs = await runSweep(folder, {
    ...many,
    // The experiment may have changed: a run takes what still holds, and computes the rest.
    redo: true,
    open: async () => {
      const opened = await openSeeds(reference, seeds, { ...options, io, unopened });
      await recordMembers(folder, opened);
      io.note(`${folder}: ${opened.length} runs; \`lfp cancel ${folder}\` stops all of them`);
      return opened;
    },
  });
  const bySeed = new Map(runs.map((run) => [run.experiment.seed, endedOf(run)]));
  const ended = seeds.flatMap((seed) => bySeed.get(seed) ?? unopened.get(seed) ?? []);
  if (io.signal.aborted) return stopped(folder, ended);
  const lost = ended.find(({ failure }) => failure !== null);
  if (lost?.failure && ended.every(({ failure }) => failure !== null)) throw lost.failure;
  const result = await reportOver(folder, ended, io);
  const status = lost?.failure?.code;
  return {
    json: { folder, seeds: ended.map(plain), report: result.json },
    text: `${result.text}\nThe report over seeds is in ${folder}, each seed's run beside it.`,
    ...(status === undefined ? {} : { status }),
  };
}

/** The runs of the seeds, with their folders and experiments. A run that cannot be opened affects its own seed only. */
async function openSeeds(
  reference: string,
  seeds: readonly number[],
  {
    io,
    unopened,
    ...options
  }: Pick<ExperimentOptions, "out" | "download"> & {
    readonly io: RunIo;
    readonly unopened: Map<number, Ended>;
  },
): Promise<PlacedRun[]> {
  const runs: PlacedRun[] = [];
  for (const seed of seeds) {
    try {
      const suffix = `-seed${seed}`;
      const { experiment, folder } = await openExperimentRun(reference, { ...options, seed, suffix, adopt: true });
      runs.push({ name: basename(folder), folder, settings: { seed }, experiment });
    } catch (error) {
      // An error that is not ours is a bug and ends the command.
      if (!(error instanceof LfpError) || error.code === "internal" || io.signal.aborted) throw error;
      io.note(`seed ${seed}: ${error.message}`);
      const { code, message } = error;
      const state = { kind: "failed", code, message, resumable: true } as const;
      unopened.set(seed, { seed, folder: `seed ${seed}`, state, failure: error });
    }
  }
  return runs;
}

function endedOf(run: SweepRunEnd): Ended {
  const { experiment, folder, state } = run;
  return { seed: experiment.seed, folder, state, failure: errorOfRun(run) };
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

function stopped(folder: string, ended: readonly Ended[]): CommandResult {
  const done = ended.filter(({ state }) => state.kind === "done").length;
  return {
    json: { folder, seeds: ended.map(plain) },
    text: `${folder}: stopped; ${done} of ${ended.length} seeds are done`,
    status: "requeue",
  };
}

function plain({ seed, folder, state }: Ended): { seed: number; folder: string; state: AnyState } {
  return { seed, folder, state };
}
