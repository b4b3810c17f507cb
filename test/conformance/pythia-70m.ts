/** One process that loads, trains and saves a checkpoint of Pythia-70m's shape and dtype, and tells what it took, as JSON. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import { sizeOf } from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { createOptimizer, gradientNormName, requireFinite } from "../../server/engine/optimizer.ts";
import { loadModel, readFloats, saveModel } from "../../server/models/checkpoint.ts";
import { parseConfig } from "../../server/models/config.ts";
import { forward, logitsOf, parametersOf, plainPositions } from "../../server/models/model.ts";
import { writeSafetensors } from "../../server/models/safetensors.ts";

/** https://huggingface.co/EleutherAI/pythia-70m/blob/main/config.json */
const configJson = {
  model_type: "gpt_neox",
  vocab_size: 50_304,
  hidden_size: 512,
  num_hidden_layers: 6,
  num_attention_heads: 8,
  intermediate_size: 2048,
  hidden_act: "gelu",
  rotary_pct: 0.25,
  rotary_emb_base: 10_000,
  max_position_embeddings: 2048,
  layer_norm_eps: 1e-5,
  use_parallel_residual: true,
  tie_word_embeddings: false,
  bos_token_id: 0,
  eos_token_id: 0,
  torch_dtype: "float16",
};
const [B, T] = [4, 128] as const;

const work = await mkdtemp(join(tmpdir(), "lfp-pythia-"));
try {
  console.log(JSON.stringify(await trainOneStep(join(work, "random"), join(work, "tuned"))));
} finally {
  await rm(work, { recursive: true });
}

async function trainOneStep(folder: string, tunedFolder: string): Promise<Record<string, unknown>> {
  await writeRandomCheckpoint(folder);
  const device = await createCpuDevice({ threads: 2 });
  const model = await loadModel(device, folder);
  const optimizer = await createOptimizer(device, model.parameters);
  const rows = B * (T - 1);
  const predicting = ops.reshape(ops.slice(forward(model, { shape: [B, T] }).hidden, 1, 0, T - 1), [rows, -1]);
  const loss = ops.crossEntropy(logitsOf(model, predicting), ops.input("targets", [rows], "i32"), ops.fill([rows], 1));
  const program = await device.compile({
    stores: [model.store, optimizer.store],
    outputs: { loss },
    updates: [optimizer.update(loss)],
  });
  const random = Random.fromSeed(2);
  const draw = (length: number): Int32Array =>
    Int32Array.from({ length }, () => random.integer(model.config.vocabSize));
  const adamW = { learningRate: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, maxGradientNorm: 1 };
  const inputs = { ids: draw(B * T), targets: draw(rows), positions: plainPositions([B, T]) };
  const first = await program.run({ ...inputs, ...optimizer.inputsAt(1, adamW) });
  const second = await program.run({ ...inputs, ...optimizer.inputsAt(2, adamW) });
  await saveModel(model, tunedFolder);
  const again = await loadModel(await createCpuDevice({ threads: 1 }), tunedFolder);
  let differing = 0;
  for (const { name } of model.parameters) {
    const [kept, loaded] = [await readFloats(model.store, name), await readFloats(again.store, name)];
    differing += Buffer.from(kept.buffer).equals(Buffer.from(loaded.buffer)) ? 0 : 1;
  }
  const peakRssMB = process.resourceUsage().maxRSS / 1024;
  return {
    parameters: model.parameters.length,
    losses: [requireFinite("loss", 1, first["loss"]), requireFinite("loss", 2, second["loss"])],
    norm: requireFinite("norm", 1, first[gradientNormName]),
    differing,
    peakRssMB,
  };
}

async function writeRandomCheckpoint(folder: string): Promise<void> {
  const random = Random.fromSeed(1);
  const tensors = parametersOf(parseConfig(configJson, "config.json")).map(({ name, shape, role }) => {
    const data = new Float32Array(sizeOf(shape));
    // Uniform of deviation 0.02, as far as training goes the same as normal and much faster to draw.
    for (let i = 0; i < data.length; i++)
      data[i] = role === "norm" ? 1 : role === "bias" ? 0 : (random.uint32() / 2 ** 32 - 0.5) * 0.02 * Math.sqrt(12);
    return { name, dtype: "F16" as const, shape, data };
  });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
  await writeFile(join(folder, "config.json"), JSON.stringify(configJson));
}
