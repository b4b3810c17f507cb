import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseConfig } from "../../models/config.ts";
import { dictionaryNeedIssues, memoryNeedIssues, refuseTooLarge } from "./memory.ts";
import { parseExperiment } from "./resolve.ts";

const gemmaJson = {
  model_type: "gemma",
  vocab_size: 256_000,
  hidden_size: 2048,
  intermediate_size: 16_384,
  num_hidden_layers: 18,
  num_attention_heads: 8,
  num_key_value_heads: 1,
  head_dim: 256,
  max_position_embeddings: 8192,
  torch_dtype: "bfloat16",
};
const gemma = parseConfig(gemmaJson, "config");
const pythia = parseConfig(
  {
    model_type: "gpt_neox",
    vocab_size: 50_304,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    max_position_embeddings: 2048,
  },
  "config",
);
const GiB = 2 ** 30;
const limits = { machineBytes: 16 * GiB, heapBytes: 4 * GiB };
const lora = { rank: 16, alpha: 32, targets: "all-linear" };

const asPaper = parseExperiment({ preset: "paper/gemma-2b-it/toxic" });

function withAdapters(maxTokens: number): ReturnType<typeof parseExperiment> {
  const { tuning } = asPaper;
  if (tuning.kind !== "dpo" || tuning.pairs.from !== "data") throw new TypeError("the preset does not tune on pairs");
  const pairs = { ...tuning.pairs, tokens: { ...tuning.pairs.tokens, maxTokens } };
  return parseExperiment({ preset: "paper/gemma-2b-it/toxic", tuning: { ...tuning, pairs, lora } });
}

it("all weights of Gemma-2B are too many for the CPU, said with the sum and what to do instead", () => {
  const [issue, ...more] = memoryNeedIssues(asPaper, gemma, 2, limits);
  expect(more).toEqual([]);
  // 2,506,172,416 weights of 4 bytes: 9.336 GiB, five times.
  expect(issue?.message).toContain(
    "tuning takes about 46.7 GiB: the weights of policy and reference 18.7 GiB, gradients 9.3 GiB, AdamW's moments 18.7 GiB; the CPU device holds 4.0 GiB of these",
  );
  expect(issue?.message).toContain('Train adapters ("lora": {"rank": 16');
  expect(issue?.path).toBe("tuning.lora");
});

it("its adapters fit into 16 GiB with short texts, and with long ones are refused with the sum and what to lower", () => {
  expect(memoryNeedIssues(withAdapters(128), gemma, 2, limits)).toEqual([]);
  const [issue] = memoryNeedIssues(withAdapters(1024), gemma, 2, limits);
  expect(issue?.message).toMatch(
    /the weights as their files have them 4\.7 GiB, .*adapters with their gradients and moments 0\.3 GiB, activations of 2 texts of 1024 tokens 2\d\.\d GiB, logits over 256000 tokens 7\.8 GiB; this machine \(or its container\) has 16\.0 GiB\. Lower tuning\.pairsAtOnce or tuning\.pairs\.tokens\.maxTokens/,
  );
  expect(memoryNeedIssues(withAdapters(128), gemma, 2, { ...limits, machineBytes: 6 * GiB })).toHaveLength(1);
});

it("counts files in F32 as twice those in BF16", () => {
  const between = { ...limits, machineBytes: 12 * GiB };
  expect(memoryNeedIssues(withAdapters(128), gemma, 2, between)).toEqual([]);
  expect(memoryNeedIssues(withAdapters(128), gemma, 4, between)[0]?.message).toContain("have them 9.3 GiB");
});

it("the paper's smaller models are tuned whole", () => {
  const experiment = parseExperiment({ preset: "paper/pythia-160m/toxic" });
  expect(memoryNeedIssues(experiment, pythia, 4, { machineBytes: 8 * GiB, heapBytes: 4 * GiB })).toEqual([]);
});

it("a run is refused by its model's config.json before it starts", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lfp-memory-"));
  await writeFile(join(folder, "config.json"), JSON.stringify(gemmaJson));
  await expect(refuseTooLarge(asPaper, folder, ["tune"], limits)).rejects.toThrow(
    "tuning.lora: tuning takes about 46.7 GiB",
  );
  await refuseTooLarge(withAdapters(128), folder, ["tune", "autoencoders"], limits);
  // Tuned already, by a machine with more memory say.
  await refuseTooLarge(asPaper, folder, ["autoencoders"], limits);
  await rm(folder, { recursive: true });
});

it("dictionaries whose training state the CPU device cannot hold are refused with the sum", () => {
  const sae = { multiples: [16, 64], tied: false };
  const large = parseExperiment({ preset: "paper/pythia-160m/toxic", sae, divergence: { layers: [1, 2, 3] } });
  const [issue, ...more] = dictionaryNeedIssues(large, pythia, 4, limits);
  expect(more).toEqual([]);
  // Of 12,288 and 49,152 features: 2 x 768 weights each, a bias each, and 768 more; six dictionaries of each size, three times.
  const numbers = (12_288 + 49_152) * (2 * 768 + 1) + 2 * 768;
  const held = (6 * 3 * 4 * numbers) / GiB;
  const models = (2 * 4 * 162_322_944) / GiB;
  expect(issue?.message).toContain(
    `training dictionaries takes about ${(held + models).toFixed(1)} GiB: the weights of base and tuned model ${models.toFixed(1)} GiB, dictionaries of 3 layers of both models with AdamW's moments ${held.toFixed(1)} GiB; the CPU device holds 4.0 GiB`,
  );
  expect(issue?.path).toBe("sae.multiples");
  expect(dictionaryNeedIssues({ ...large, sae: { ...large.sae, multiples: [1, 2] } }, pythia, 4, limits)).toEqual([]);
  expect(dictionaryNeedIssues({ ...large, sae: { ...large.sae, source: "elsewhere" } }, pythia, 4, limits)).toEqual([]);
});
