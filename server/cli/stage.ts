import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { openRun, outcomeResult, plannedStages, runDeviceOption, runStages } from "./experiment-run.ts";
import { option } from "./options.ts";

export const stage = defineCommand({
  usage: "EXPERIMENT STAGE [options]",
  about:
    "Runs one stage of an experiment, and the stages that it needs as far as they are not there yet. With a run folder on a shared disk, " +
    "stages of one run can be worked on by several machines in turn.",
  options: {
    out: option.text("DIR", "the run's folder (default runs/NAME, with the experiment's name)"),
    device: runDeviceOption,
    seed: option.text("N", "instead of the experiment's seed"),
    download: option.flag("fetch models and data sets that are not in the Hugging Face cache"),
  },
  positionals: ["EXPERIMENT", "STAGE"],
  run: async ({ options, positionals: [experiment = "", id = ""], signal, note, env }): Promise<CommandResult> => {
    const experimentRun = await openRun(experiment, options);
    const stages = await plannedStages(experimentRun, { signal, note });
    const wanted = stages.find((candidate) => candidate.id === id);
    if (wanted === undefined)
      throw new UsageError(
        `there is no stage ${JSON.stringify(id)}; there are ${stages.map((one) => one.id).join(", ")}`,
      );
    const outcome = await runStages(experimentRun, { signal, note, env, device: options.device }, { only: [wanted] });
    const result = await outcomeResult(experimentRun, outcome, id);
    return result;
  },
});
