import { placeKinds } from "../runs/executor-settings.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import { openRun, outcomeResult, runDeviceOption, runStages } from "./experiment-run.ts";
import { atMostOption } from "./many-runs.ts";
import { type Options, option } from "./options.ts";
import { runElsewhere } from "./run-elsewhere.ts";
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
  on: option.choice(
    "WHERE",
    "what runs it, with the settings of your executors.json (docs/cluster.md); Ctrl-C leaves a cluster's job alone",
    placeKinds,
    "local",
  ),
  "at-most": { ...atMostOption, help: `with --seeds: ${atMostOption.help}` },
} satisfies Options;

export const run = defineCommand({
  usage: "EXPERIMENT [options]",
  about:
    "Runs an experiment from feedback to report. EXPERIMENT is a file (docs/experiment.md) or the name of a preset, such as quick, or preferences for pairs of answers in ./preferences.jsonl. What a run has finished is not " +
    "done again: the same command goes on where it was stopped, also after a crash.",
  options,
  positionals: ["EXPERIMENT"],
  run: async (given): Promise<CommandResult> => {
    const { seeds, seed, detach: isDetached, on, "at-most": atMost } = given.options;
    if (seeds !== undefined) {
      if (seed !== undefined) throw new UsageError("--seed and --seeds exclude each other");
      if (isDetached)
        throw new UsageError("--detach starts one run, and --seeds makes several: leave one of the two out");
      return runSeeds(given.positionals[0] ?? "", seedsOf(seeds), { ...given.options, atMost }, ioOf(given));
    }
    if (atMost !== undefined) throw new UsageError("--at-most is for several runs: give --seeds, or leave it out");
    const isElsewhere = on !== "local";
    const experimentRun = await openRun(given.positionals[0] ?? "", given.options, { adopt: isElsewhere });
    if (isElsewhere || isDetached) return runElsewhere(experimentRun, { ...ioOf(given), on, isDetached });
    return outcomeResult(experimentRun, await runStages(experimentRun, ioOf(given)));
  },
});

function ioOf({ signal, note, env, options: { device } }: Given<typeof options>) {
  return { signal, note, env, device };
}
