import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { deviceOptions, withDevice } from "../cli/with-device.ts";
import { starterFolder } from "../common/package-root.ts";
import { benchPpo as timePpo } from "./ppo-timing.ts";
import { peakRssMB, rounded } from "./timing.ts";

export const benchPpo = defineCommand({
  usage: "[options]",
  about:
    "Times PPO steps with the paper's batch of 64: sampling, scoring with policy and reference, and 16 mini-batch updates, after checking what a step must " +
    "give. The reward is the completion's length, which costs nothing. test/bench/pytorch_ppo.py times the same work in PyTorch and transformers.",
  options: {
    model: option.choice(
      "MODEL",
      "the starter, or random weights of Pythia-70m's shape",
      ["starter", "pythia-70m"],
      "starter",
    ),
    steps: option.integer("timed steps, after one that warms up", 3, { min: 1, max: 1000 }),
    ...deviceOptions,
  },
  run: async ({ options, signal, note, env }): Promise<CommandResult> =>
    withDevice({ ...options, signal, note, env }, async (device) => {
      note("timing PPO steps");
      const model =
        options.model === "starter" ? ({ folder: starterFolder(), name: "starter" } as const) : options.model;
      const figures = await timePpo({ device, model, steps: options.steps });
      const text = `${figures.model} on ${device.description}; check ${figures.check}\nepisodes   ${rounded(figures.episodesPerSecond)} a second\nsampling   ${rounded(100 * figures.samplingShare)} % of the time`;
      return { json: { ...figures, peakRssMB: peakRssMB() }, text, status: figures.check === "ok" ? "ok" : "internal" };
    }),
});
