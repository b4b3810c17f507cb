import { expect, it, test } from "vitest";
import { parseConfig } from "../../../server/models/config.ts";
import { modelFitIssues } from "../../../server/pipeline/experiment/model-fit.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";

it.each([
  [{ tuning: { steps: 1e15 } }, "tuning.steps"],
  [{ tuning: { batchSize: 1e12 } }, "tuning.batchSize"],
  [{ sampling: { newTokens: { min: 1, max: 1e9 } } }, "sampling.newTokens.max"],
  [{ tuning: { learningRate: 1e300 } }, "tuning.learningRate"],
  [{ sae: { bufferTokens: 1e12 } }, "sae.bufferTokens"],
  [{ sae: { batchTokens: 1e12 } }, "sae.batchTokens"],
  [{ sae: { multiples: [1, 1e9] } }, "sae.multiples[1]"],
  [{ sae: { epochs: 1e12 } }, "sae.epochs"],
  [{ probe: { permutations: 1e12 } }, "probe.permutations"],
  [{ probe: { resamples: 1e12 } }, "probe.resamples"],
  [{ probe: { xavierSeeds: 1e12 } }, "probe.xavierSeeds"],
  [{ probe: { labelShuffles: 1e12 } }, "probe.labelShuffles"],
  [{ probe: { wordFolds: 1e12 } }, "probe.wordFolds"],
  [{ probe: { foldDraws: 1e12 } }, "probe.foldDraws"],
  [{ probe: { refits: 1e12 } }, "probe.refits"],
  [{ ablate: { draws: 1e12 } }, "ablate.draws"],
  [{ divergence: { layers: 1e9 } }, "divergence.layers"],
  [{ divergence: { layers: Array.from({ length: 1e6 }, (_, at) => at) } }, "divergence.layers"],
] as const)("a number that nothing could finish or hold is refused (%#)", (part, path) => {
  const refused = new RegExp(`\\n {2}${path.replace(/[.[\]]/g, "\\$&")}: got .*expected`);
  expect(() => parseExperiment({ preset: "quick", ...part })).toThrow(refused);
});

test("what no machine could hold with this model is said before the first stage", () => {
  const model = parseConfig(
    {
      model_type: "gpt_neox",
      vocab_size: 1000,
      hidden_size: 4096,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      intermediate_size: 16_384,
      max_position_embeddings: 2048,
      bos_token_id: 0,
    },
    "config.json",
  );
  const issues = (sae: object) =>
    modelFitIssues(parseExperiment({ preset: "quick", divergence: { layers: 32 }, sae }), model, undefined);
  expect(issues({})).toEqual([]);
  expect(issues({ bufferTokens: 2 ** 25 })).toMatchObject([
    { path: "sae.bufferTokens", message: expect.stringMatching(/would take \d+ GiB; expected 256/) },
  ]);
  expect(issues({ multiples: [1, 1024] })).toMatchObject([{ path: "sae.multiples" }]);
});
