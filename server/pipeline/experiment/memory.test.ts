import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import {
  dictionaryExperiment,
  dictionaryModel,
  openDictionaryTraining,
} from "../../../test/support/dictionary-training.ts";
import { planProgram } from "../../engine/cpu/planner.ts";
import type { Device, Program, ProgramSpec, StateEntry, StateStore } from "../../engine/device.ts";
import { type Shape, sizeOf } from "../../engine/graph.ts";
import { parseConfig } from "../../models/config.ts";
import { dictionaryNeedIssues, dictionaryNeeds, memoryNeedIssues, refuseTooLarge } from "./memory.ts";
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

it("nor is tuning started where the machine cannot hold a small model's state, whatever the texts", () => {
  const experiment = parseExperiment({ preset: "paper/pythia-160m/toxic" });
  const [issue, ...more] = memoryNeedIssues(experiment, pythia, 4, { machineBytes: 3 * GiB, heapBytes: 4 * GiB });
  expect(more).toEqual([]);
  // 162,322,944 weights of 4 bytes, five times, are 3.02 GiB.
  expect(issue?.message).toMatch(
    /^tuning takes about 3\.2 GiB: .*, activations besides; this machine \(or its container\) has 3\.0 GiB\. Train adapters/,
  );
});

it("a run is refused by its model's config.json before it starts", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lfp-memory-"));
  await writeFile(join(folder, "config.json"), JSON.stringify(gemmaJson));
  await expect(refuseTooLarge(asPaper, folder, ["tune"], limits)).rejects.toThrow(
    "tuning.lora: tuning takes about 46.7 GiB",
  );
  await refuseTooLarge(withAdapters(128), folder, ["tune"], limits);
  // Tuned already, by a machine with more memory say.
  const sae = { bufferTokens: 16_384, batchTokens: 2048 };
  const fitting = parseExperiment({ preset: "paper/gemma-2b-it/toxic", sae });
  await refuseTooLarge(fitting, folder, ["autoencoders"], limits);
  await expect(refuseTooLarge(asPaper, folder, ["autoencoders"], limits)).rejects.toThrow("sae.bufferTokens: training");
  await rm(folder, { recursive: true });
});

it("dictionaries whose training state the CPU device cannot hold are refused with the sum", () => {
  const sae = { multiples: [16, 64], tied: false };
  const large = parseExperiment({ preset: "paper/pythia-160m/toxic", sae, divergence: { layers: [1, 2, 3] } });
  const [issue, ...more] = dictionaryNeedIssues(large, pythia, 4, limits);
  expect(more).toEqual([]);
  // Of 12,288 and 49,152 features: 2 x 768 weights each, a bias each, and 768 more; six dictionaries of each size, three times.
  const numbers = (12_288 + 49_152) * (2 * 768 + 1) + 2 * 768;
  const held = (6 * 4 * 4 * numbers) / GiB;
  const models = (2 * 4 * 162_322_944) / GiB;
  const waiting = (6 * 4 * 32_768 * 768) / GiB;
  expect(issue?.message).toContain(
    `training dictionaries takes about ${(held + models + waiting).toFixed(1)} GiB: the weights of base and tuned model ${models.toFixed(1)} GiB, dictionaries of 3 layers of both models with their gradients and AdamW's moments ${held.toFixed(1)} GiB, activations of 32768 tokens ${waiting.toFixed(1)} GiB; the CPU device holds 4.0 GiB`,
  );
  expect(issue?.path).toBe("sae.bufferTokens");
  expect(dictionaryNeedIssues({ ...large, sae: { ...large.sae, multiples: [1, 2] } }, pythia, 4, limits)).toEqual([]);
  expect(dictionaryNeedIssues({ ...large, sae: { ...large.sae, source: "elsewhere" } }, pythia, 4, limits)).toEqual([]);
});

it("dictionaries of Gemma-2B's width fit the device with a smaller buffer, and a machine whose memory holds a step's values too", () => {
  const sized = (bufferTokens: number, batchTokens: number) =>
    parseExperiment({ preset: "paper/gemma-2b-it/toxic", sae: { bufferTokens, batchTokens } });
  const issuesOf = (experiment: ReturnType<typeof sized>, machine: number): string[] =>
    dictionaryNeedIssues(experiment, gemma, 2, { ...limits, machineBytes: machine * GiB }).map(
      ({ message }) => message,
    );
  // Ten dictionaries of 2048 and ten of 4096 features take 1.9 GiB, and their activations 2.5 GiB.
  expect(issuesOf(sized(32_768, 2048), 32)).toEqual([
    expect.stringMatching(/activations of 32768 tokens 2\.5 GiB; the CPU device holds 4\.0 GiB/),
  ]);
  expect(issuesOf(sized(16_384, 2048), 32)).toEqual([]);
  // 8192 tokens x 6144 features x 4 values x 10 layers and models: 7.5 GiB beside 3.1 GiB of state and 9.3 GiB of weights.
  expect(issuesOf(sized(16_384, 8192), 20)).toEqual([
    expect.stringMatching(
      /the weights of base and tuned model 9\.3 GiB, a step's values of 8192 tokens 7\.5 GiB.*this machine \(or its container\) has 20\.0 GiB\. Lower sae\.batchTokens/,
    ),
  ]);
  expect(issuesOf(sized(16_384, 2048), 20)).toEqual([]);
});

it("counts as state what a training of dictionaries asks of the device, activations and gradients too", async () => {
  const device = new CountingDevice();
  await openDictionaryTraining(device);
  const { state } = dictionaryNeeds(dictionaryExperiment, dictionaryModel, 4);
  const counted = state.reduce((sum, { bytes }) => sum + bytes, 0);
  // Beside it are a pass's activations on their way into the buffer, and each step's metrics.
  expect(device.bytes).toBeGreaterThanOrEqual(counted);
  expect(device.bytes).toBeLessThan(1.04 * counted);
});

it("adds up within a fifth what a training of dictionaries takes of the machine", async () => {
  const program = fileURLToPath(new URL("../../../test/support/dictionary-training.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  const peakBytes = 1024 * Number(stdout);
  const { state, outside } = dictionaryNeeds(dictionaryExperiment, dictionaryModel, 4);
  const counted = [...state, ...outside].reduce((sum, { bytes }) => sum + bytes, 0);
  expect(counted / peakBytes).toBeGreaterThan(0.8);
  expect(counted / peakBytes).toBeLessThan(1.2);
});

/** Counts the bytes that a CPU device holds for state and results; computes nothing. */
class CountingDevice implements Device {
  readonly kind = "cpu";
  readonly description = "counts";
  bytes = 0;

  async createState(entries: readonly StateEntry[]): Promise<StateStore> {
    this.#add(entries);
    return {
      names: entries.map(({ name }) => name),
      read: async () => new Float32Array(),
      write: async () => {},
      dispose: async () => {},
    };
  }

  async compile(spec: ProgramSpec): Promise<Program> {
    this.#add(planProgram(spec).buffers);
    return { run: async () => ({}), dispose: async () => {} };
  }

  async close(): Promise<void> {}

  #add(tensors: readonly { readonly shape: Shape }[]): void {
    this.bytes += tensors.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  }
}
