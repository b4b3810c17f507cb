import { resolve } from "node:path";
import { type ExperimentRun, submitExperimentRun } from "../pipeline/experiment-run.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import { openRun, outcomeResult, runDeviceOption, runStages } from "./experiment-run.ts";
import { type Options, option } from "./options.ts";
import { runSeeds, seedsOf } from "./run-seeds.ts";

const options = {
  out: option.text("DIR", "the run's folder (default runs/NAME, with the experiment's name)"),
  device: runDeviceOption,
  seed: option.text("N", "instead of the experiment's seed"),
  seeds: option.text(
    "N|LIST",
    "one run a seed, 1 to N or those of a list such as 1,2,3, in DIR-seed1 and so on, then a report over them in DIR-seeds",
  ),
  download: option.flag("fetch models and data sets that are not in the Hugging Face cache"),
  detach: option.flag("start the run and return at once; it goes on without this terminal (lfp status, lfp cancel)"),
} satisfies Options;

export const run = defineCommand({
  usage: "EXPERIMENT [options]",
  about:
    "Runs an experiment from feedback to report. EXPERIMENT is a file (docs/experiment.md) or the name of a preset, such as quick, or preferences for pairs of answers in ./preferences.jsonl. What a run has finished is not " +
    "done again: the same command goes on where it was stopped, also after a crash.",
  options,
  positionals: ["EXPERIMENT"],
  run: async (given): Promise<CommandResult> => {
    const { seeds, seed, detach: isDetached } = given.options;
    if (seeds !== undefined) {
      if (seed !== undefined) throw new UsageError("--seed and --seeds exclude each other");
      if (isDetached)
        throw new UsageError("--detach starts one run, and --seeds makes several: leave one of the two out");
      return runSeeds(given.positionals[0] ?? "", seedsOf(seeds), given.options, ioOf(given));
    }
    const experimentRun = await openRun(given.positionals[0] ?? "", given.options);
    if (isDetached) return detach(experimentRun, given.options.device);
    return outcomeResult(experimentRun, await runStages(experimentRun, ioOf(given)));
  },
});

function ioOf({ signal, note, env, options: { device } }: Given<typeof options>) {
  return { signal, note, env, device };
}

async function detach(experimentRun: ExperimentRun, device: string): Promise<CommandResult> {
  const [, program = ""] = process.argv;
  const lfp = [process.execPath, ...process.execArgv, resolve(program)] as const;
  await submitExperimentRun(experimentRun, lfp, process.cwd(), { options: ["--device", device] });
  const { folder } = experimentRun;
  return {
    json: { folder, detached: true },
    text: `${folder}: started. \`lfp status ${folder}\` says how it stands, \`lfp cancel ${folder}\` stops it.`,
  };
}
