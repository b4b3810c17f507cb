import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { deviceOptions, withDevice } from "../cli/with-device.ts";
import { starterFolder } from "../common/package-root.ts";
import { benchDpo as timeDpo } from "./dpo-timing.ts";
import { rounded } from "./timing.ts";

export const benchDpo = defineCommand({
  usage: "[options]",
  about:
    "Times DPO steps with the paper's batch of 8 pairs: log-probabilities of the reference, gradients of the policy, AdamW, after checking log-probabilities " +
    "against a plain forward pass. Pairs are random ids, prompts and answers of 32 to 127 tokens each. test/bench/pytorch_dpo.py times the same work on the same " +
    "pairs in PyTorch and transformers.",
  options: {
    model: option.choice(
      "MODEL",
      "the starter, or random weights of Pythia-70m's shape",
      ["starter", "pythia-70m"],
      "starter",
    ),
    steps: option.integer("timed steps, after one that warms up", 5, { min: 1, max: 1000 }),
    lora: option.integer("train adapters of this rank on all Linear weights; 0: all weights", 0, { min: 0, max: 256 }),
    ...deviceOptions,
  },
  run: async ({ options, signal, note, env }): Promise<CommandResult> =>
    withDevice({ ...options, signal, note, env }, async (device) => {
      note("checking and timing DPO steps");
      const { steps, lora: rank } = options;
      const model =
        options.model === "starter" ? ({ folder: starterFolder(), name: "starter" } as const) : options.model;
      const lora = rank === 0 ? null : { rank, alpha: 2 * rank, targets: "all-linear" as const };
      const figures = await timeDpo({ device, model, steps, lora, signal });
      const text = `${figures.model} on ${device.description}; check ${figures.check}\npairs   ${rounded(figures.pairsPerSecond)} a second`;
      return { json: { ...figures }, text, status: figures.check === "ok" ? "ok" : "internal" };
    }),
});
