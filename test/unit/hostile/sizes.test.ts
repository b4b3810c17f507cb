import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device } from "../../../server/engine/device.ts";
import { loadModel, notesOn } from "../../../server/models/checkpoint.ts";
import { parseConfig } from "../../../server/models/config.ts";
import { ContextLengthError } from "../../../server/models/errors.ts";
import { loadTokenizer } from "../../../server/models/tokenizer.ts";
import { scratchFolder } from "../runs/scratch.ts";

const neox = {
  model_type: "gpt_neox",
  vocab_size: 64,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 64,
  max_position_embeddings: 128,
};

/** A checkpoint of zeros whose header says these shapes: its bytes are a hole in the file. */
async function sparse(
  folder: string,
  config: object,
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  let at = 0;
  const header: Record<string, object> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const bytes = 4 * shape.reduce((product, length) => product * length, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  const path = join(folder, "model.safetensors");
  await writeFile(path, Buffer.concat([prefix, json]));
  await truncate(path, 8 + json.length + at);
  return folder;
}

/** What a GPT-NeoX of this width and vocabulary holds. */
function tensorsOf(layers: number, width: number, vocabulary: number, mlp: number): Record<string, number[]> {
  const norm = (name: string) => ({ [`${name}.weight`]: [width], [`${name}.bias`]: [width] });
  const linear = (name: string, out: number, inputs: number) => ({
    [`${name}.weight`]: [out, inputs],
    [`${name}.bias`]: [out],
  });
  const all = Array.from({ length: layers }, (_, layer) => {
    const at = `gpt_neox.layers.${layer}`;
    return {
      ...norm(`${at}.input_layernorm`),
      ...norm(`${at}.post_attention_layernorm`),
      ...linear(`${at}.attention.query_key_value`, 3 * width, width),
      ...linear(`${at}.attention.dense`, width, width),
      ...linear(`${at}.mlp.dense_h_to_4h`, mlp, width),
      ...linear(`${at}.mlp.dense_4h_to_h`, width, mlp),
    };
  });
  return Object.assign({ "gpt_neox.embed_in.weight": [vocabulary, width] }, ...all, norm("gpt_neox.final_layer_norm"), {
    "embed_out.weight": [vocabulary, width],
  });
}

async function onCpu<R>(work: (device: Device) => Promise<R>, fixedFrom?: number): Promise<R> {
  const device = await createCpuDevice({ threads: 1, ...(fixedFrom === undefined ? {} : { fixedFrom }) });
  try {
    return await work(device);
  } finally {
    await device.close();
  }
}

/** The device's own memory, and that beside it. */
const ofHeap = {
  fixedFrom: Number.POSITIVE_INFINITY,
  says: /needs \d{4,} MiB more, but one device holds 4096 MiB/,
};
const ofMachine = { fixedFrom: undefined, says: /the model's weights need [1-9]\d{3}\.\d GiB, this process holds / };

describe("a checkpoint that is larger than the device", () => {
  it.each([
    ["81 GB in many tensors", { layers: 400, width: 2048, vocabulary: 64, mlp: 8192 }, ofHeap],
    ["one tensor of 2.7 GB", { layers: 1, width: 64, vocabulary: 21_000_000 / 2, mlp: 64 }, ofHeap],
    ["5 TB in many tensors", { layers: 400, width: 16_384, vocabulary: 64, mlp: 65_536 }, ofMachine],
    ["one tensor of 1.4 TB", { layers: 1, width: 32_768, vocabulary: 21_000_000 / 2, mlp: 64 }, ofMachine],
  ])("is refused by its sum before anything is read: %s", async (_, { layers, width, vocabulary, mlp }, memory) => {
    const config = {
      ...neox,
      vocab_size: vocabulary,
      hidden_size: width,
      num_hidden_layers: layers,
      intermediate_size: mlp,
    };
    const folder = await sparse(await scratchFolder(), config, tensorsOf(layers, width, vocabulary, mlp));
    await onCpu(async (device) => {
      const before = process.memoryUsage().rss;
      await expect(loadModel(device, folder)).rejects.toThrow(memory.says);
      expect(process.memoryUsage().rss - before).toBeLessThan(300e6);
    }, memory.fixedFrom);
  });

  it("is loaded where it fits, and the sum is that of what the device then holds", async () => {
    const folder = await sparse(await scratchFolder(), neox, tensorsOf(2, 32, 64, 64));
    await onCpu(async (device) => {
      const { store } = await loadModel(device, folder);
      expect(store.names).toHaveLength(28);
    });
  });
});

describe("sizes that only a configuration claims", () => {
  it.each([
    [{ num_hidden_layers: 2 ** 24 }, /num_hidden_layers/],
    [{ num_hidden_layers: 1e6 }, /num_hidden_layers/],
    [{ rotary_emb_base: 1e308 }, /rotary_emb_base/],
    [{ rotary_emb_base: 5e-324 }, /rotary_emb_base/],
    [{ rope_parameters: { rope_theta: 1e300 } }, /rope_theta/],
    [{ layer_norm_eps: 1e-320 }, /layer_norm_eps/],
    [{ eos_token_id: Array.from({ length: 1e5 }, () => 1) }, /eos_token_id/],
    [{ bos_token_id: 1e15 }, /bos_token_id/],
    [{ bos_token_id: 64 }, /bos_token_id is 64, but vocab_size is 64: expected an id below it/],
    [{ eos_token_id: [3, 99] }, /eos_token_id is 99, but vocab_size is 64/],
  ])("are refused: %o", (change, says) => {
    expect(() => parseConfig({ ...neox, ...change }, "config.json")).toThrow(says);
  });

  it("are held against the file's tensors before anything is made for each layer", async () => {
    const config = { ...neox, num_hidden_layers: 4000 };
    const folder = await sparse(await scratchFolder(), config, tensorsOf(2, 32, 64, 64));
    await onCpu(async (device) => {
      await expect(loadModel(device, folder)).rejects.toThrow(
        /holds 28 tensors, but config.json says that the model has 4000 layers/,
      );
    });
  });

  it("of a context make no tables for places that no text reaches", () => {
    const config = parseConfig({ ...neox, max_position_embeddings: 2 ** 24 }, "config.json");
    expect(config.contextLength).toBe(2 ** 17);
    const configJson = { max_position_embeddings: 2 ** 24 };
    expect(notesOn({ config, configJson })).toEqual([expect.stringMatching(/made for 16777216 tokens.*first 131072/)]);
    expect(notesOn({ config, configJson: { max_position_embeddings: 2 ** 17 } })).toEqual([]);
    const tooLong = new ContextLengthError(2 ** 18, config.contextLength, "a text");
    expect(tooLong.message).toMatch(/holds 131072 \(lfp computes with no more places/);
    expect(new ContextLengthError(600, 512, "a text").message).not.toContain("lfp computes");
  });

  it("of GPT-Neo's attention are summed before they are listed", () => {
    const neo = {
      model_type: "gpt_neo",
      vocab_size: 64,
      hidden_size: 32,
      num_layers: 2,
      num_heads: 4,
      max_position_embeddings: 64,
    };
    const types = [[["global", "local"], 2 ** 24]];
    expect(() => parseConfig({ ...neo, attention_types: types }, "config.json")).toThrow(/covers 33554432 layers/);
  });

  it("of a tokenizer are counted first", async () => {
    const folder = await scratchFolder();
    const vocab = Object.fromEntries(Array.from({ length: 1_050_000 }, (_, id) => [`t${id}`, id]));
    const level = { type: "ByteLevel", add_prefix_space: false };
    const file = { pre_tokenizer: level, decoder: level, model: { type: "BPE", vocab, merges: [] } };
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(file));
    await expect(loadTokenizer(folder)).rejects.toThrow(
      /model.vocab has 1050000 entries, and at most 1048576 are read/,
    );
  });
});
