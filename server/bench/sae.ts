import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { deviceOptions, withDevice } from "../cli/with-device.ts";
import { benchSae as timeSaes } from "./sae-timing.ts";
import { benchShapes } from "./shapes.ts";
import { peakRssMB, rounded } from "./timing.ts";

/** Layers whose autoencoders are timed: the demo's, and the paper's for Pythia-70m. */
const layersOf = { starter: [2, 4], "pythia-70m": [1, 2, 3, 4, 5] } as const;

export const benchSae = defineCommand({
  usage: "[options]",
  about:
    "Times the training of autoencoders of one and two times the width, on some layers of two models at once, after checking a training step. Each token " +
    "goes once through both models and into every autoencoder: SAE-tokens a second are tokens a second times the number of autoencoders. " +
    "test/bench/pytorch_sae.py times the same work in PyTorch.",
  options: {
    shape: option.choice("SHAPE", "the models' size", ["starter", "pythia-70m"], "starter"),
    steps: option.integer("timed optimizer steps", 32, { min: 1, max: 100_000 }),
    ...deviceOptions,
  },
  run: async ({ options, signal, note, env }): Promise<CommandResult> =>
    withDevice({ ...options, signal, note, env }, async (device) => {
      note("checking and timing autoencoder steps");
      const { shape, steps } = options;
      const figures = await timeSaes({ device, model: benchShapes[shape], layers: layersOf[shape], steps, signal });
      const json = {
        name: "sae",
        check: "ok",
        device: device.kind,
        model: `${shape}-shape`,
        ...figures,
        peakRssMB: peakRssMB(),
      };
      const text = `${json.model} on ${device.description}; check passed\ntokens       ${rounded(figures.tokensPerSecond)} a second\nSAE-tokens   ${rounded(figures.saeTokensPerSecond)} a second (${figures.autoencoders} autoencoders)`;
      return { json, text };
    }),
});
