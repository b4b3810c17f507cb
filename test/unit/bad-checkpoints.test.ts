/**
 * Checkpoints of today's families that cannot be used, sharded as large ones are: each is refused by an error that names the
 * file, the tensor or the setting, and says what was expected.
 */
import { cp, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { loadModel } from "../../server/models/checkpoint.ts";
import { CheckpointTensorError, ConfigError, UnknownArchitectureError } from "../../server/models/errors.ts";
import {
  CheckpointIndexError,
  ModelFileError,
  openSafetensors,
  SafetensorsError,
  TensorDtypeError,
  type TensorToWrite,
  writeSafetensors,
} from "../../server/models/safetensors.ts";
import { modelFolder } from "../conformance/fixtures.ts";
import { scratchFolder } from "./runs/scratch.ts";

const INDEX = "model.safetensors.index.json";
const shardNames = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
const [first, second] = shardNames;

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(async () => await device.close());

type Tensors = readonly TensorToWrite[];
type Stored = Parameters<typeof modelFolder>[0];

/** A stored checkpoint in two shards with an index, its tensors changed before. */
async function sharded(name: Stored, change: (tensors: Tensors) => Tensors = (all) => all): Promise<string> {
  const folder = await scratchFolder();
  await cp(join(modelFolder(name), "config.json"), join(folder, "config.json"));
  const tensors: TensorToWrite[] = [];
  {
    await using source = await openSafetensors(join(modelFolder(name), "model.safetensors"));
    for (const [tensor, { shape }] of source.tensors)
      tensors.push({ name: tensor, dtype: "F32", shape: [...shape], data: await source.readFloat32(tensor) });
  }
  const changed = change(tensors);
  const half = Math.ceil(changed.length / 2);
  await writeSafetensors(join(folder, first), changed.slice(0, half));
  await writeSafetensors(join(folder, second), changed.slice(half));
  const map = Object.fromEntries(changed.map((tensor, at) => [tensor.name, shardNames[at < half ? 0 : 1]]));
  await writeFile(join(folder, INDEX), JSON.stringify({ metadata: {}, weight_map: map }));
  return folder;
}

const without = (name: string) => (all: Tensors) => all.filter((tensor) => tensor.name !== name);

async function edit(path: string, change: (json: Record<string, unknown>) => object): Promise<void> {
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, "utf8")))));
}
const config =
  (changes: object) =>
  async (folder: string): Promise<void> =>
    await edit(join(folder, "config.json"), (json) => ({ ...json, ...changes }));
const weightMap =
  (change: (map: Record<string, string>) => object) =>
  async (folder: string): Promise<void> =>
    await edit(join(folder, INDEX), (json) => ({
      ...json,
      weight_map: change(json["weight_map"] as Record<string, string>),
    }));

/** Says in the header of the first shard that its first F32 tensor is of another type of the same size. */
async function retype(folder: string, dtype: string): Promise<void> {
  const bytes = await readFile(join(folder, first));
  const at = bytes.indexOf('"F32"');
  // Same length, so that the header's length stays true.
  bytes.write(`"${dtype}"`.padEnd(5), at);
  await writeFile(join(folder, first), bytes);
}

interface Bad {
  readonly what: string;
  readonly of: Stored;
  readonly tensors?: (all: Tensors) => Tensors;
  readonly spoil?: (folder: string) => Promise<void>;
  readonly error: new (...args: never[]) => Error;
  readonly says: RegExp;
}

const inShards: readonly Bad[] = [
  {
    what: "a shard that was cut off",
    of: "llama",
    spoil: async (folder) => await truncate(join(folder, second), 4000),
    error: SafetensorsError,
    says: /model-00002-of-00002\.safetensors is not a sound safetensors file/,
  },
  {
    what: "a shard without a byte",
    of: "qwen3",
    spoil: async (folder) => await truncate(join(folder, first), 0),
    error: SafetensorsError,
    says: /model-00001-of-00002\.safetensors is not a sound safetensors file/,
  },
  {
    what: "a shard that is not there",
    of: "gemma2",
    spoil: async (folder) => await rm(join(folder, second)),
    error: ModelFileError,
    says: /model-00002-of-00002\.safetensors does not exist/,
  },
  {
    what: "shards that were renamed into one another",
    of: "olmo2",
    spoil: async (folder) => {
      await rename(join(folder, first), join(folder, "aside"));
      await rename(join(folder, second), join(folder, first));
      await rename(join(folder, "aside"), join(folder, second));
    },
    error: CheckpointIndexError,
    says: /it says that model-0000\d-of-00002\.safetensors holds tensor ".+", and it does not/,
  },
  {
    what: "an index that leaves out a tensor",
    of: "gemma3",
    spoil: weightMap(({ "model.norm.weight": _, ...map }) => map),
    error: CheckpointTensorError,
    says: /tensor 'model\.norm\.weight' \[24\] is missing; config\.json says gemma3_text, which needs it/,
  },
  {
    what: "an index of pickles",
    of: "qwen2",
    spoil: weightMap((map) => ({ ...map, "model.norm.weight": "pytorch_model-00002-of-00002.bin" })),
    error: CheckpointIndexError,
    says: /the shard of tensor "model\.norm\.weight" must be a safetensors file beside it, and is "pytorch_model-00002-of-00002\.bin"/,
  },
];

const inTensors: readonly Bad[] = [
  {
    what: "a head of its own that is missing",
    of: "olmo2",
    tensors: without("lm_head.weight"),
    error: CheckpointTensorError,
    says: /lm_head\.weight.* missing/,
  },
  {
    what: "a head of its own where config.json ties it",
    of: "mistral",
    spoil: config({ tie_word_embeddings: true }),
    error: CheckpointTensorError,
    says: /lm_head\.weight/,
  },
  {
    what: "norms of heads that are missing",
    of: "qwen3",
    tensors: without("model.layers.1.self_attn.q_norm.weight"),
    error: CheckpointTensorError,
    says: /tensor 'model\.layers\.1\.self_attn\.q_norm\.weight' \[12\] is missing; config\.json says qwen3/,
  },
  {
    what: "one of four norms that is missing",
    of: "gemma2",
    tensors: without("model.layers.0.pre_feedforward_layernorm.weight"),
    error: CheckpointTensorError,
    says: /tensor 'model\.layers\.0\.pre_feedforward_layernorm\.weight' \[24\] is missing/,
  },
  {
    what: "weights of another head size than config.json's",
    of: "qwen3",
    spoil: config({ head_dim: 8 }),
    error: CheckpointTensorError,
    says: /tensor 'model\.layers\.0\.self_attn\.\w+\.weight' is \[.+\], but config\.json asks for \[.+\]/,
  },
  {
    what: "biases that config.json does not have",
    of: "llama",
    spoil: config({ attention_bias: false }),
    error: CheckpointTensorError,
    says: /'model\.layers\.0\.self_attn\.\w+\.bias' belongs to no part of a llama model/,
  },
  {
    what: "whole numbers for weights",
    of: "gpt2",
    spoil: async (folder) => await retype(folder, "I32"),
    error: TensorDtypeError,
    says: /is I32, and only F32, F16 and BF16 are read as numbers/,
  },
];

const inConfigs: readonly Bad[] = [
  {
    what: "a mixture of experts",
    of: "qwen3",
    spoil: config({ model_type: "qwen3_moe" }),
    error: UnknownArchitectureError,
    says: /model type 'qwen3_moe' is not supported; supported are /,
  },
  {
    what: "weights that were quantised",
    of: "llama",
    spoil: config({ quantization_config: { quant_method: "gptq", bits: 4 } }),
    error: ConfigError,
    says: /quantization_config/,
  },
  {
    what: "key heads that queries cannot share evenly",
    of: "llama",
    spoil: config({ num_key_value_heads: 3 }),
    error: ConfigError,
    says: /config\.json: .*4.* heads .*3/,
  },
  {
    what: "as many kinds of layers as there are not",
    of: "gemma3",
    spoil: config({ layer_types: ["full_attention"] }),
    error: ConfigError,
    says: /layer_types/,
  },
];

describe.each([
  ["shards", inShards],
  ["tensors", inTensors],
  ["config.json", inConfigs],
])("a checkpoint whose %s cannot be used", (_, bad) => {
  it.each(bad)("is refused by name: $what ($of)", async ({ of, tensors, spoil, error, says }) => {
    const folder = await sharded(of, tensors);
    await spoil?.(folder);
    const got = await loadModel(device, folder).then(
      () => new Error("it was loaded"),
      (thrown: unknown) => thrown,
    );
    expect(String(got)).toMatch(says);
    expect(got).toBeInstanceOf(error);
  });
});

it.each([...new Set([...inShards, ...inTensors, ...inConfigs].map(({ of }) => of))])(
  "%s is loaded from two shards when nothing is wrong",
  async (name) => {
    expect((await loadModel(device, await sharded(name))).config.layers).toBeGreaterThan(1);
  },
);
