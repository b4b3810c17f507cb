import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { LfpError } from "../common/errors.ts";
import { compareRuns } from "../pipeline/finished/compare/compare-runs.ts";
import { comparisonCsv, comparisonMarkdown } from "../pipeline/finished/compare/files.ts";
import { comparisonText } from "../pipeline/finished/compare/text.ts";
import { planExperiment } from "../pipeline/plan-experiment.ts";
import { loadSweep } from "../pipeline/sweep/expand.ts";
import { runSweep, type SweepRunEnd } from "../pipeline/sweep/run-sweep.ts";
import { countStages, type StageCount } from "../pipeline/sweep/shared-count.ts";
import { type PlacedRun, placeSweep, recordSweep, reopenSweep } from "../pipeline/sweep/sweep-folder.ts";
import { placeKinds } from "../runs/executor-settings.ts";
import { unlessMissing } from "../runs/files.ts";
import { describeState } from "../runs/state-words.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { runDeviceOption } from "./experiment-run.ts";
import { atMostOption, manyRuns } from "./many-runs.ts";
import { type Options, option } from "./options.ts";

const options = {
  out: option.text(
    "DIR",
    "the sweep's folder, which gets a folder for each run (default runs/NAME, with the sweep's name)",
  ),
  runs: option.text(
    "DIR",
    "the folder of runs in which the sweep's folder is made unless --out names it (default runs)",
  ),
  device: runDeviceOption,
  on: option.choice(
    "WHERE",
    "what runs the runs, with the settings of your executors.json (docs/cluster.md); Ctrl-C leaves a cluster's jobs alone",
    placeKinds,
    "local",
  ),
  "at-most": atMostOption,
  resume: option.flag(
    "go on with the runs that the sweep's folder asks for, whatever the file says now; SWEEP may be that folder",
  ),
  "dry-run": option.flag("say what would run and what is shared, and start nothing"),
} satisfies Options;

export const sweep = defineCommand({
  usage: "SWEEP [options]",
  about:
    "Runs an experiment with several seeds and settings: every combination that SWEEP, a JSON file (docs/sweep.md), says. Stages that runs have in common are " +
    "computed once. A run that fails affects no other; the exit code is that of the first that failed. Ctrl-C stops runs on this machine after a checkpoint, and `lfp cancel` the runs of a sweep anywhere.\n\n" +
    "What is finished is not done again: the same command goes on where it was stopped, follows runs that went on without it, and takes up what was added to the file.",
  options,
  positionals: ["SWEEP"],
  run: async (given): Promise<CommandResult> => {
    const { folder, open, record } = await sweepOf(given);
    if (given.options["dry-run"]) return dryResult(folder, await open(), given);
    const { on, device, "at-most": atMost } = given.options;
    const ended = await runSweep(folder, {
      ...(await manyRuns({ on, atMost }, { ...given, device })),
      open: record,
      onRuns: async (runs) => given.note(await planText(folder, runs, given)),
    });
    return await resultOf(folder, ended);
  },
});

type GivenSweep = Given<typeof options>;

/** A sweep that a command names: its folder, a look at its runs, and their record in the folder. */
interface OpenSweep {
  readonly folder: string;
  readonly open: () => Promise<readonly PlacedRun[]>;
  readonly record: () => Promise<readonly PlacedRun[]>;
}

async function sweepOf({
  positionals: [path = ""],
  options: { out, runs = "runs", resume },
}: GivenSweep): Promise<OpenSweep> {
  const isFolder = resume && (await unlessMissing(stat(path)))?.isDirectory() === true;
  const stated = isFolder ? undefined : await loadSweep(path);
  const folder = resolve(stated === undefined ? path : (out ?? join(runs, stated.name)));
  if (stated === undefined || resume) {
    const reopen = (): Promise<PlacedRun[]> => reopenSweep(folder);
    // Whoever names no sweep is told so before a folder is made.
    await reopen();
    return { folder, open: reopen, record: reopen };
  }
  return {
    folder,
    open: async () => (await placeSweep(folder, stated)).runs,
    record: async () => {
      const placed = await placeSweep(folder, stated);
      await recordSweep(folder, placed);
      return placed.runs;
    },
  };
}

/** What is about to run, and what of it is shared. */
async function planText(
  folder: string,
  runs: readonly PlacedRun[],
  { signal, note }: Pick<GivenSweep, "signal" | "note">,
): Promise<string> {
  const plans = [];
  for (const { name, experiment } of runs) {
    try {
      const plan = await planExperiment(experiment, { run: name, signal, onProgress: note });
      plans.push({ plan, seed: experiment.seed });
    } catch (error) {
      // The run itself fails with the same error, which affects no other.
      if (!(error instanceof LfpError) || error.code === "internal" || signal.aborted) throw error;
      note(`${name}: ${error.message}`);
    }
  }
  return `${folder}: ${runs.length} ${runs.length === 1 ? "run" : "runs"}; ${countText(countStages(plans))}`;
}

function countText({ stages, different, shared }: StageCount): string {
  if (shared.length === 0) return `${stages} stages, of which none is shared`;
  return `${stages} stages, of which ${different} have to be computed; shared are ${shared.join(", ")}`;
}

async function dryResult(folder: string, runs: readonly PlacedRun[], given: GivenSweep): Promise<CommandResult> {
  const text = await planText(folder, runs, given);
  const rows = runs.map(({ name, settings }) => `  ${name}${settingsText(settings)}`);
  return {
    json: { folder, runs: runs.map(({ name, folder: run, settings }) => ({ name, folder: run, settings })) },
    text: [text, ...rows].join("\n"),
  };
}

function settingsText(settings: PlacedRun["settings"]): string {
  const words = Object.entries(settings).map(([field, value]) => `${field} = ${JSON.stringify(value)}`);
  return words.length === 0 ? "" : `: ${words.join(", ")}`;
}

/** Maximum number of runs whose table fits a terminal. */
const MOST_SHOWN = 20;

/** How each run ended, and those with results side by side; also written into the sweep's folder. */
async function resultOf(folder: string, ended: readonly SweepRunEnd[]): Promise<CommandResult> {
  const done = ended.filter(({ failure }) => failure === undefined);
  const lines = ended.map(({ name, state, failure }) => {
    const why = failure === undefined || state.kind === "failed" ? "" : ` (${failure.message})`;
    return `  ${name}: ${describeState(state)}${why}`;
  });
  const failed = ended.find(({ failure }) => failure !== undefined && failure.code !== "cancelled")?.failure;
  const comparison = done.length < 2 ? undefined : await compareRuns(done.map((run) => run.folder));
  const table: string[] = [];
  if (comparison !== undefined) {
    await writeFileAtomically(join(folder, "comparison.csv"), comparisonCsv(comparison));
    await writeFileAtomically(join(folder, "comparison.md"), comparisonMarkdown(comparison));
    if (done.length <= MOST_SHOWN) table.push("", comparisonText(comparison));
    table.push("", `The runs' figures side by side are in ${join(folder, "comparison.md")} and .csv.`);
  }
  return {
    json: {
      folder,
      runs: ended.map(({ name, folder: run, settings, state }) => ({ name, folder: run, settings, state })),
      comparison: comparison ?? null,
    },
    text: [`${folder}: ${done.length} of ${ended.length} runs are done`, ...lines, ...table].join("\n"),
    status: failed?.code ?? (done.length < ended.length ? "requeue" : "ok"),
  };
}
