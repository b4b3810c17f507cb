import { expect, it } from "vitest";
import { parseConfig } from "../models/config.ts";
import { gpuNeeds, needProblems, needsText, readModelSize } from "./doctor-model.ts";

const gemma = parseConfig(
  {
    model_type: "gemma",
    vocab_size: 256_000,
    hidden_size: 2048,
    intermediate_size: 16_384,
    num_hidden_layers: 18,
    num_attention_heads: 8,
    num_key_value_heads: 1,
    head_dim: 256,
    max_position_embeddings: 8192,
  },
  "config",
);
const needs = gpuNeeds("gemma", { config: gemma, storedBytes: 2 });

it("adds up what a GPU needs for a large model, and names its largest tensor", () => {
  // 2,506,172,416 weights in BF16; trained ones, gradients and two moments in F32.
  expect(needs).toMatchObject({ parameters: 2_506_172_416, weightsMB: 4780, trainingMB: 43_021 });
  const tensor = { name: "model.embed_tokens.weight", shape: [256_000, 2048], heldMB: 1000, trainedMB: 2000 };
  expect(needs.largestTensor).toEqual(tensor);
  expect(needsText(needs)).toBe(
    "gemma: 2,506,172,416 weights; a GPU needs 4.7 GB to read it or to train adapters, 42.0 GB to train all weights, activations besides, and " +
      "one buffer for 'model.embed_tokens.weight' [256000, 2048], 0.98 GB, or 2.0 GB to train it",
  );
  expect(gpuNeeds("gemma", { config: gemma, storedBytes: 4 })).toMatchObject({
    weightsMB: 9560,
    largestTensor: { heldMB: 2000 },
  });
});

it.each([
  [{ memoryMB: 140_000, bufferMB: 4096 }, undefined],
  [{}, undefined],
  [
    { memoryMB: 140_000, bufferMB: 999 },
    "its tensor 'model.embed_tokens.weight' takes 0.98 GB, and a buffer of this GPU holds 0.98 GB at most",
  ],
  [{ memoryMB: 4096, bufferMB: 4096 }, "its weights take 4.7 GB, and the GPU has 4.0 GB"],
  [
    { memoryMB: 140_000, bufferMB: 1024 },
    "to train its tensor 'model.embed_tokens.weight' takes 2.0 GB, and a buffer of this GPU holds 1.0 GB",
  ],
  [{ memoryMB: 24_576, bufferMB: 4096 }, "to train all weights takes 42.0 GB, and the GPU has 24.0 GB"],
])("tells what a GPU of %o lacks", (gpu, said) => {
  const problems = needProblems(needs, gpu);
  expect(problems.map(({ what }) => what)).toEqual(
    said === undefined ? [] : [expect.stringContaining(`the GPU is too small for gemma: ${said}`)],
  );
});

it("holds a small model in F32 whatever its files have, and reads the starter's size from its config.json", async () => {
  const size = await readModelSize("starter", { env: {}, signal: new AbortController().signal });
  const found = gpuNeeds("starter", size);
  expect(found.largestTensor.shape).toEqual([4096, 128]);
  expect(found.largestTensor.heldMB).toBe(found.largestTensor.trainedMB);
  expect(needProblems(found, { memoryMB: 100, bufferMB: 128 })).toEqual([]);
  // 2,238,464 weights, 524,288 of them in the largest tensor: 4 bytes each, and 20 in training.
  expect(needsText(found)).toMatch(/needs 9 MB to read it .* 43 MB to train all weights, .* 2 MB$/);
});
