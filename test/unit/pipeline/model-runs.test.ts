/** Whole runs on a tiny random checkpoint of each family of today's models, as small as they go, and the lens on them. */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { Random } from "../../../server/common/random.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { createModel, saveModel } from "../../../server/models/checkpoint.ts";
import { ablationFile, ablationSchema } from "../../../server/pipeline/artifacts/ablation.ts";
import { divergenceFile, divergenceSchema } from "../../../server/pipeline/artifacts/divergence.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { tinyExperiment } from "./tiny-experiment.ts";
import { linesOf, rowAt, tinyPreferences } from "./tiny-preferences.ts";

useStateFolder("model-runs");

/** What is the same in all: the starter's vocabulary, and sizes that no two dimensions share. */
const sizes = {
  vocab_size: 4096,
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  bos_token_id: 0,
  eos_token_id: 0,
  rms_norm_eps: 1e-5,
} as const;

const gemma = { ...sizes, head_dim: 8, hidden_activation: "gelu_pytorch_tanh", tie_word_embeddings: true };

/** The switches of each family that the others lack: see the fixtures' README. */
const families: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  llama: { ...sizes, hidden_act: "silu", rope_theta: 10_000, tie_word_embeddings: true },
  qwen3: { ...sizes, head_dim: 12, hidden_act: "silu", rope_theta: 10_000, tie_word_embeddings: true },
  olmo2: { ...sizes, hidden_act: "silu", rope_theta: 10_000, tie_word_embeddings: false },
  gemma2: {
    ...gemma,
    query_pre_attn_scalar: 8,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    sliding_window: 16,
  },
  gemma3_text: {
    ...gemma,
    query_pre_attn_scalar: 8,
    sliding_window: 16,
    layer_types: ["sliding_attention", "full_attention"],
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
  },
  gpt2: {
    vocab_size: sizes.vocab_size,
    n_embd: 24,
    n_inner: 40,
    n_layer: 2,
    n_head: 4,
    n_positions: 256,
    activation_function: "gelu_new",
    bos_token_id: 0,
    eos_token_id: 0,
  },
};

/** A checkpoint of random weights with the starter's tokenizer. */
async function checkpointOf(family: string): Promise<string> {
  const folder = join(await scratchFolder(), family);
  const device = await createCpuDevice({ threads: 1 });
  try {
    const config = { model_type: family, ...families[family] };
    await saveModel(await createModel(device, config, Random.fromSeed(1), 0.2), folder);
  } finally {
    await device.close();
  }
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    await copyFile(join(starterFolder(), name), join(folder, name));
  return folder;
}

/** The stages of both kinds of runs, smaller still. */
const smallest = {
  examples: { tokens: 1000, windowTokens: 8 },
  explain: { perLayer: 2 },
  attribute: { prompts: 16 },
  ablate: { features: 2, prompts: 16, completions: 1, draws: 2, drawsBeside: 1, single: 0 },
};

const ways: Readonly<Record<string, (model: string) => Promise<object>>> = {
  ppo: async (model) => ({
    ...tinyExperiment,
    ...smallest,
    model,
    data: { limit: 300, heldOut: 32 },
    evaluate: { prompts: 16 },
    triples: { limit: 60 },
    sae: { ...tinyExperiment.sae, maxTokens: 3072, batchTokens: 512, bufferTokens: 1024 },
    learned: { texts: 30, tokens: 64, minPlaces: 3 },
  }),
  dpo: async (model) => {
    const file = join(model, "pairs.jsonl");
    await writeFile(file, linesOf(Array.from({ length: 48 }, (_, at) => rowAt(at))));
    const { completions: _, ...ablate } = smallest.ablate;
    return {
      ...tinyPreferences,
      ...smallest,
      ablate,
      model,
      data: { source: { file }, heldOut: 0.25 },
      tuning: { ...tinyPreferences.tuning, steps: 2 },
      evaluate: { prompts: 16 },
      sae: { ...tinyPreferences.sae, maxTokens: 1024, batchTokens: 512, bufferTokens: 1024 },
    };
  },
};

async function runOn(model: string, way: string): Promise<string> {
  const folder = join(await scratchFolder(), "runs", "tiny");
  const experiment = parseExperiment((await ways[way]?.(model)) ?? {});
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "experiment.json"), JSON.stringify(experiment));
  const plan = await planExperiment(experiment, { run: "tiny" });
  const end = await runPipeline(plan, folder, { seed: 1, deviceClass: "cpu", queued: false });
  expect(end).toEqual({ kind: "done" });
  return folder;
}

describe.each(Object.keys(families))("%s", { timeout: 240_000 }, (family) => {
  it.each(Object.keys(ways))(
    "%s goes from the checkpoint to a report, and the lens reads its tuned model",
    async (way) => {
      const folder = await runOn(await checkpointOf(family), way);
      const stages = (await readRecord(folder))?.stages ?? [];
      const outputOf = (id: string): string =>
        join(folder, stages.find((stage) => stage.id === id)?.output ?? "missing");
      const { layers } = await readJson(outputOf("divergence"), divergenceFile, divergenceSchema);
      expect(layers.map(({ jointL2 }) => jointL2 > 0)).toEqual([true, true]);
      const ablated = await readJson(outputOf("ablate"), ablationFile, ablationSchema);
      expect(ablated.set.features.length).toBeGreaterThan(0);
      const report = reportSchema.parse(JSON.parse(await readFile(join(folder, "report.json"), "utf8")));
      expect(report.summary.length).toBeGreaterThan(2);
      const lens = await openLens(folder, { threads: 1 });
      const text = "A wonderful film, and a terrible end.";
      const reading = await lens.read(text);
      const pair = await lens.readPair(text);
      await lens.close();
      expect(lens.info.modelType).toBe(family);
      expect(reading.ends.at(-1)).toBe(text.length);
      expect(reading.implicit.every(Number.isFinite)).toBe(true);
      expect(pair.learned.some((value) => value !== null && Math.abs(value) > 0)).toBe(true);
    },
  );
});
