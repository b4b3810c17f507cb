/** Variants of config.json and of tensors' names: what transformers reads plainly gives its logits, and what it reads otherwise is refused by name. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import * as ops from "../../server/engine/ops.ts";
import { loadModel, saveModel } from "../../server/models/checkpoint.ts";
import { parseConfig } from "../../server/models/config.ts";
import { CheckpointTensorError, ConfigError } from "../../server/models/errors.ts";
import { forward, logitsOf, plainPositions } from "../../server/models/model.ts";
import { openSafetensors, type TensorToWrite, writeSafetensors } from "../../server/models/safetensors.ts";
import { expectClose } from "./close-to.ts";
import { modelFolder, ORACLE_MODELS, type OracleModel } from "./fixtures.ts";

const stored = z
  .object({
    ids: z.array(z.int()),
    cases: z.array(
      z.object({
        model: z.enum(ORACLE_MODELS),
        changes: z.record(z.string(), z.unknown()),
        ropeType: z.string(),
        logits: z.array(z.number()),
      }),
    ),
  })
  .parse(
    JSON.parse(await readFile(fileURLToPath(new URL("../fixtures/models/configs.json", import.meta.url)), "utf8")),
  );
const plainLogits = (model: OracleModel): readonly number[] =>
  stored.cases.find((one) => one.model === model && Object.keys(one.changes).length === 0)?.logits ?? [];

const stretched = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 20,
};

/** Models that compute rotations of type llama3 and linear. */
const stretchable: readonly OracleModel[] = [
  "gemma",
  "gemma2",
  "gemma3",
  "llama",
  "mistral",
  "olmo2",
  "qwen2",
  "qwen3",
];

let device: Device;
let scratch: string;
let folders = 0;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  scratch = await mkdtemp(join(tmpdir(), "lfp-configs-"));
});
afterAll(async () => {
  await device.close();
  await rm(scratch, { recursive: true });
});

/** A copy of a small checkpoint; a change of null takes the key out. */
async function changed(
  model: OracleModel,
  changes: Readonly<Record<string, unknown>>,
  edit?: (tensors: TensorToWrite[]) => TensorToWrite[],
): Promise<string> {
  const folder = join(scratch, `model-${++folders}`);
  await mkdir(folder);
  const json = { ...JSON.parse(await readFile(join(modelFolder(model), "config.json"), "utf8")), ...changes };
  const kept = Object.fromEntries(Object.entries(json).filter(([key]) => changes[key] !== null));
  await writeFile(join(folder, "config.json"), JSON.stringify(kept));
  const weights = join(modelFolder(model), "model.safetensors");
  if (edit === undefined) await copyFile(weights, join(folder, "model.safetensors"));
  else await writeSafetensors(join(folder, "model.safetensors"), edit(await tensorsOf(weights)));
  return folder;
}

async function tensorsOf(path: string): Promise<TensorToWrite[]> {
  await using source = await openSafetensors(path);
  const found: TensorToWrite[] = [];
  for (const [name, { shape }] of source.tensors)
    found.push({ name, dtype: "F32", shape: [...shape], data: await source.readFloat32(name) });
  return found;
}

/** Of the last token. */
async function logitsIn(folder: string) {
  const model = await loadModel(device, folder);
  const T = stored.ids.length;
  const last = ops.slice(forward(model, { shape: [1, T] }).hidden, 1, T - 1, T);
  const program = await device.compile({ stores: [model.store], outputs: { logits: logitsOf(model, last) } });
  const { logits } = await program.run({ ids: Int32Array.from(stored.ids), positions: plainPositions([1, T]) });
  return logits;
}

const failure = (folder: string): Promise<unknown> =>
  loadModel(device, folder).then(
    () => "it was loaded",
    (error: unknown) => error,
  );

describe("config.json as transformers reads it", () => {
  it.each(stored.cases)("$model with $changes ($ropeType)", async ({ model, changes, ropeType, logits }) => {
    const folder = await changed(model, changes);
    const isRead = ropeType === "default" || (ropeType !== "yarn" && stretchable.includes(model));
    if (isRead) {
      expectClose("logits", await logitsIn(folder), logits, { absolute: 2e-5, relative: 0 });
      return;
    }
    const error = await failure(folder);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(`says rope_type "${ropeType}"; only "default" `);
  });

  it.each<[OracleModel, Record<string, unknown>, RegExp]>([
    ["gpt-neox", { head_dim: 16 }, /head_dim is 16, but hidden_size over num_attention_heads makes it 8/],
    ["gpt-neox", { quantization_config: { quant_method: "gptq" } }, /"quantization_config" is not known here/],
    ["gpt-neox", { residual_multiplier: 0.5 }, /"residual_multiplier" is not known here/],
    ["gpt-neox", { rope_scaling: { factor: 2 } }, /factor/],
    ["gpt-neox", { num_key_value_heads: 1 }, /"num_key_value_heads" is not known here/],
    ["gemma", { final_logit_softcapping: 30 }, /"final_logit_softcapping" is not known here/],
    ["gemma", { sliding_window: 4 }, /"sliding_window" is not known here/],
    ["gemma", { rope_parameters: { partial_rotary_factor: 0.5 } }, /rope_parameters\.partial_rotary_factor/],
    ["gemma2", { sliding_window: 0 }, /sliding_window/],
    ["gemma2", { use_bidirectional_attention: true }, /use_bidirectional_attention/],
    ["gemma2", { attn_logit_softcapping: 0 }, /attn_logit_softcapping/],
    ["gemma2", { layer_types: ["chunked_attention"] }, /layer_types/],
    ["gemma3", { attn_logit_softcapping: 50 }, /attn_logit_softcapping/],
    [
      "gemma3",
      { layer_types: undefined, _sliding_window_pattern: 3 },
      /_sliding_window_pattern is 3, but sliding_window_pattern makes it 6/,
    ],
    ["gemma3", { rope_parameters: { rope_type: "default", rope_theta: 10 } }, /rope_parameters/],
    [
      "gemma3",
      { rope_parameters: { sliding_attention: { rope_type: "yarn" } } },
      /says rope_type "yarn"; only "default"/,
    ],
    ["llama", { num_key_value_heads: 3 }, /4 query heads cannot share 3 key heads evenly \(num_key_value_heads\)/],
    ["llama", { head_dim: 7 }, /head_dim/],
    ["llama", { hidden_act: "mish" }, /activation 'mish'/],
    ["llama", { rope_scaling: { rope_type: "llama3", factor: 8 } }, /rope_scaling.low_freq_factor/],
    ["llama", { rope_scaling: { ...stretched, high_freq_factor: 1 } }, /high_freq_factor is 1; expected more than/],
    ["llama", { rope_scaling: { factor: 2 } }, /factor/],
    ["llama", { partial_rotary_factor: 0.5 }, /partial_rotary_factor/],
    ["llama", { num_local_experts: 8 }, /"num_local_experts" is not known here/],
    ["mistral", { sliding_window: 0 }, /sliding_window/],
    ["mistral", { attention_bias: true }, /"attention_bias" is not known here/],
    ["qwen2", { layer_types: ["full_attention"] }, /layer_types has 1 layers, but num_hidden_layers is 3/],
    ["qwen2", { use_sliding_window: false }, /layer_types has a sliding_attention, but there is no window/],
    ["qwen2", { attention_bias: true }, /"attention_bias" is not known here/],
    ["qwen3", { num_experts: 8 }, /"num_experts" is not known here/],
    ["olmo2", { sliding_window: 4 }, /"sliding_window" is not known here/],
    ["gpt2", { n_embd: 23 }, /a width of 23 cannot be split over 4 heads/],
    ["gpt2", { num_hidden_layers: 2 }, /num_hidden_layers is 2, but n_layer makes it 3/],
    ["gpt2", { add_cross_attention: true }, /add_cross_attention/],
    ["gpt-neo", { attention_layers: ["global", "global", "global", "local"] }, /attention_layers and attention_types/],
    ["gpt-neo", { num_hidden_layers: 2 }, /num_hidden_layers is 2, but num_layers makes it 4/],
  ])("%s refuses %j, which would change its forward pass", async (model, changes, says) => {
    const error = await failure(await changed(model, changes));
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(says);
  });

  it("a head whose whole odd width is rotated is refused, as transformers cannot compute it either", () => {
    const json = {
      model_type: "gpt_neox",
      vocab_size: 9,
      hidden_size: 10,
      num_hidden_layers: 1,
      num_attention_heads: 2,
    };
    const odd = { ...json, intermediate_size: 8, max_position_embeddings: 8, rotary_pct: 1 };
    expect(() => parseConfig(odd, "config.json")).toThrow(/all 5 dimensions of a head/);
    expect(parseConfig({ ...odd, rotary_pct: 0.7 }, "config.json")).toMatchObject({ rotaryDims: 4 });
  });

  it("keys that transformers writes and that change nothing are let through", async () => {
    const folder = await changed("gpt-neox", {
      output_attentions: true,
      attention_probs_dropout_prob: 0.1,
      _attn_implementation_autoset: true,
      pruned_heads: {},
      cross_attention_hidden_size: null,
      summary_activation: "tanh",
      _name_or_path: "layers/attention",
    });
    expectClose("logits", await logitsIn(folder), plainLogits("gpt-neox"), { absolute: 2e-5, relative: 0 });
  });
});

describe("tensors under other names", () => {
  const renamed = (rename: (name: string) => string) => (tensors: TensorToWrite[]) =>
    tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));

  it.each<[OracleModel, string, (name: string) => string]>([
    ["gpt-neox", "lm_head for embed_out", (name) => name.replace("embed_out", "lm_head")],
    ["gpt-neox", "no prefix", (name) => name.replace("gpt_neox.", "")],
    ["gpt-neo", "no prefix", (name) => name.replace("transformer.", "")],
    ["gpt2", "no prefix", (name) => name.replace("transformer.", "")],
    ["gemma3", "no prefix", (name) => name.replace("model.", "")],
    ["gemma", "no prefix", (name) => name.replace("model.", "")],
    ["llama", "no prefix", (name) => name.replace("model.", "")],
  ])("%s with %s gives the same logits, as in transformers", async (model, _, rename) => {
    const folder = await changed(model, {}, renamed(rename));
    expectClose("logits", await logitsIn(folder), plainLogits(model), { absolute: 2e-5, relative: 0 });
  });

  /** How transformers 4 and 5 save a model that reads images and holds a Gemma 3. */
  it.each([
    ["language_model.model.", "vision_tower.patches.weight"],
    ["model.language_model.", "model.multi_modal_projector.norm.weight"],
  ])("gemma3 under %s, beside %s, is read alone and saved as a model of its own", async (prefix, other) => {
    const original = JSON.parse(await readFile(join(modelFolder("gemma3"), "config.json"), "utf8"));
    const { eos_token_id: _, ...text } = original;
    const folder = await changed(
      "gemma3",
      {
        model_type: "gemma3",
        text_config: text,
        vision_config: { hidden_size: 8 },
        eos_token_id: [1, 7],
        vocab_size: null,
      },
      (tensors) => [
        ...tensors.map((tensor) => ({ ...tensor, name: tensor.name.replace(/^model\./, prefix) })),
        { name: other, dtype: "F32", shape: [2], data: Float32Array.of(1, 2) },
      ],
    );
    expectClose("logits", await logitsIn(folder), plainLogits("gemma3"), { absolute: 2e-5, relative: 0 });
    const model = await loadModel(device, folder);
    expect(model.config).toMatchObject({ modelType: "gemma3_text", eosIds: [1, 7] });
    const saved = join(scratch, `saved-${prefix}`);
    await saveModel(model, saved);
    expectClose("logits", await logitsIn(saved), plainLogits("gemma3"), { absolute: 2e-5, relative: 0 });
    const written = JSON.parse(await readFile(join(saved, "config.json"), "utf8"));
    expect(written).toEqual({ ...text, eos_token_id: [1, 7], torch_dtype: "float32", dtype: "float32" });
    await expect(loadModel(device, await changed("gemma3", { model_type: "gemma3" }))).rejects.toThrow(
      /model_type is "gemma3", but text_config is no object; expected one of model_type gemma3_text/,
    );
  });

  it("what is missing is named beside what there is", async () => {
    const error = await failure(
      await changed(
        "gpt-neox",
        {},
        renamed((name) => `module.${name}`),
      ),
    );
    expect(error).toBeInstanceOf(CheckpointTensorError);
    expect(String(error)).toMatch(/'gpt_neox\.embed_in\.weight' .* is missing.*such as 'module\./);
  });
});

describe("a tied head", () => {
  const head = (name: string, from: (embedding: Float32Array) => Float32Array) => (tensors: TensorToWrite[]) => {
    const embedding = tensors.find((tensor) => /embed_in|wte|embed_tokens/.test(tensor.name));
    if (embedding === undefined) throw new TypeError("no embedding");
    return [
      ...tensors.filter((tensor) => tensor.name !== "embed_out.weight"),
      { ...embedding, name, data: from(Float32Array.from(embedding.data)) },
    ];
  };

  it.each<[OracleModel, string]>([
    ["gpt-neo", "lm_head.weight"],
    ["gemma", "lm_head.weight"],
    ["llama", "lm_head.weight"],
    ["gpt-neox", "embed_out.weight"],
    ["gpt-neox", "lm_head.weight"],
  ])("of %s may stand in the file as %s where it equals the embedding, and only there", async (model, name) => {
    const tied = { tie_word_embeddings: true };
    const same = await changed(
      model,
      tied,
      head(name, (values) => values),
    );
    const logits = await logitsIn(same);
    expect(new Set(logits).size).toBeGreaterThan(1);
    if (model !== "gpt-neox") expectClose("logits", logits, plainLogits(model), { absolute: 2e-5, relative: 0 });
    const own = await changed(
      model,
      tied,
      head(name, (values) => values.map((value, at) => (at === 70 ? 0.5 : value))),
    );
    const error = await failure(own);
    expect(error).toBeInstanceOf(CheckpointTensorError);
    expect(String(error)).toMatch(`tensor '${name}' has other values`);
    expect(String(error)).toMatch("Set tie_word_embeddings to false");
    const untied = await changed(
      model,
      { tie_word_embeddings: false },
      head(name, (values) => values.map((value, at) => (at === 70 ? 0.5 : value))),
    );
    expect(await logitsIn(untied)).not.toEqual(logits);
  });
});
