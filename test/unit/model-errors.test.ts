/** Checkpoints that cannot be used: each is refused by an error that names what is wrong, and nothing is computed with it. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { starterFolder } from "../../server/common/package-root.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { AdamWOptions, Device } from "../../server/engine/device.ts";
import { InputMismatchError, NonFiniteError } from "../../server/engine/errors.ts";
import { createOptimizer } from "../../server/engine/optimizer.ts";
import { architectures } from "../../server/models/architectures.ts";
import { loadModel, readFloats } from "../../server/models/checkpoint.ts";
import { continueTexts } from "../../server/models/continue-texts.ts";
import {
  CheckpointTensorError,
  ConfigError,
  ContextLengthError,
  PromptError,
  TokenIdError,
  UnknownArchitectureError,
} from "../../server/models/errors.ts";
import { defaultSampling, Generator } from "../../server/models/generate.ts";
import { addLora } from "../../server/models/lora.ts";
import { forward, plainPositions } from "../../server/models/model.ts";
import { nextTokenLoss, targetsOf } from "../../server/models/next-token-loss.ts";
import { openModel } from "../../server/models/open.ts";
import {
  ModelFileError,
  NonFiniteTensorError,
  NoWeightsError,
  openSafetensors,
  PickleRefusedError,
  type TensorToWrite,
  writeSafetensors,
} from "../../server/models/safetensors.ts";
import { TokenizerNotFoundError, VocabularyMismatchError } from "../../server/models/tokenizer.ts";
import { modelFolder } from "../conformance/fixtures.ts";

type Edit = (tensors: TensorToWrite[]) => TensorToWrite[];

let device: Device;
let scratch: string;
let folders = 0;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  scratch = await mkdtemp(join(tmpdir(), "lfp-bad-models-"));
});
afterAll(async () => {
  await device.close();
  await rm(scratch, { recursive: true });
});

/** A copy of a small checkpoint with its config.json or weights changed. */
async function damaged({ config, tensors }: { config?: (json: string) => string; tensors?: Edit }): Promise<string> {
  folders += 1;
  const folder = join(scratch, `model-${folders}`);
  await mkdir(folder);
  const original = modelFolder("gpt-neox");
  const json = await readFile(join(original, "config.json"), "utf8");
  await writeFile(join(folder, "config.json"), config?.(json) ?? json);
  if (tensors === undefined) await copyFile(join(original, "model.safetensors"), join(folder, "model.safetensors"));
  else await writeSafetensors(join(folder, "model.safetensors"), tensors(await tensorsOf(original)));
  return folder;
}

async function tensorsOf(folder: string): Promise<TensorToWrite[]> {
  await using source = await openSafetensors(join(folder, "model.safetensors"));
  const found: TensorToWrite[] = [];
  for (const [name, { shape }] of source.tensors)
    found.push({ name, dtype: "F32", shape: [...shape], data: await source.readFloat32(name) });
  return found;
}

const field = (name: string, value: unknown) => (json: string) =>
  JSON.stringify({ ...JSON.parse(json), [name]: value });
const failure = (folder: string): Promise<unknown> =>
  loadModel(device, folder).then(
    () => "it was loaded",
    (error: unknown) => error,
  );

describe("weights", () => {
  const dense = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight";

  it("are loaded when nothing is wrong, so that the refusals below are about their damage", async () => {
    const model = await loadModel(device, await damaged({ tensors: (all) => all }));
    expect(model.config).toMatchObject({ modelType: "gpt_neox", layers: 3 });
  });

  it("a missing tensor is named, with the shape that is needed", async () => {
    const error = await failure(await damaged({ tensors: (all) => all.filter(({ name }) => name !== dense) }));
    expect(error).toBeInstanceOf(CheckpointTensorError);
    expect(String(error)).toMatch(`tensor '${dense}' [96, 32] is missing; config.json says gpt_neox, which needs it`);
  });

  it("a wrongly shaped tensor is named, with both shapes", async () => {
    const turned: Edit = (all) =>
      all.map((tensor) => (tensor.name === dense ? { ...tensor, shape: [32, 96] } : tensor));
    const error = await failure(await damaged({ tensors: turned }));
    expect(error).toBeInstanceOf(CheckpointTensorError);
    expect(String(error)).toMatch(`tensor '${dense}' is [32, 96], but config.json asks for [96, 32]`);
  });

  it("a config.json of another size is found out by the first tensor that it does not fit", async () => {
    const error = await failure(await damaged({ config: field("vocab_size", 96) }));
    expect(String(error)).toMatch("tensor 'gpt_neox.embed_in.weight' is [97, 32], but config.json asks for [96, 32]");
  });

  it("a tensor that would be left out silently is named", async () => {
    const extra: Edit = (all) => [
      ...all,
      { name: "gpt_neox.layers.3.mlp.extra", dtype: "F32", shape: [1], data: Float32Array.of(1) },
    ];
    const error = await failure(await damaged({ tensors: extra }));
    expect(error).toBeInstanceOf(CheckpointTensorError);
    expect(String(error)).toMatch("'gpt_neox.layers.3.mlp.extra' belongs to no part of a gpt_neox model");
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("a weight of %s is named by its tensor and place", async (value) => {
    const poison: Edit = (all) =>
      all.map((tensor) => (tensor.name === dense ? { ...tensor, data: withAt(tensor.data, 7, value) } : tensor));
    const error = await failure(await damaged({ tensors: poison }));
    expect(error).toBeInstanceOf(NonFiniteTensorError);
    expect(error).toMatchObject({ code: "non-finite", tensor: dense });
    expect(String(error)).toMatch(`element 7 of tensor "${dense}"`);
  });

  it("pickles are refused, with what to do", async () => {
    const folder = await damaged({});
    await rm(join(folder, "model.safetensors"));
    await writeFile(join(folder, "pytorch_model.bin"), Buffer.of(0x80, 0x02));
    const error = await failure(folder);
    expect(error).toBeInstanceOf(PickleRefusedError);
    expect(String(error)).toMatch(/pytorch_model\.bin\), which can run code .* safe_serialization=True/);
  });

  it("adapters that say nothing are refused, with what is missing", async () => {
    const folder = await damaged({});
    await rm(join(folder, "config.json"));
    await rm(join(folder, "model.safetensors"));
    expect(String(await failure(folder))).toContain("config.json cannot be read");
    await writeFile(join(folder, "adapter_config.json"), "{}");
    expect(String(await failure(folder))).toMatch(/^AdapterError: .*that cannot be read: .*peft_type/s);
  });

  it("a folder without weights, and one that is not there, are told apart", async () => {
    const folder = await damaged({});
    await rm(join(folder, "model.safetensors"));
    expect(await failure(folder)).toBeInstanceOf(NoWeightsError);
    const nowhere = openModel(device, join(scratch, "nowhere"));
    await expect(nowhere).rejects.toThrow(ModelFileError);
    await expect(nowhere).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("config.json", () => {
  it("an unknown architecture is named, with those that are supported", async () => {
    const error = await failure(await damaged({ config: field("model_type", "mamba") }));
    expect(error).toBeInstanceOf(UnknownArchitectureError);
    expect(String(error)).toContain("model type 'mamba' is not supported; supported are gpt_neox, gpt_neo, ");
    for (const supported of Object.keys(architectures)) expect(String(error)).toContain(` ${supported}`);
    const inherited = await failure(await damaged({ config: field("model_type", "toString") }));
    expect(inherited).toBeInstanceOf(UnknownArchitectureError);
  });

  it.each<[what: string, config: (json: string) => string, says: RegExp]>([
    ["is no JSON", () => "{ model_type: gpt_neox", /config\.json is not a JSON object/],
    ["is a list", () => "[]", /config\.json is not a JSON object/],
    [
      "has no model type",
      field("model_type", undefined),
      /model_type is undefined; expected one of gpt_neox, gpt_neo, /,
    ],
    ["has a size that is a text", field("vocab_size", "many"), /vocab_size/],
    ["has no layers", field("num_hidden_layers", 0), /num_hidden_layers/],
    ["has a fraction of a head", field("num_attention_heads", 2.5), /num_attention_heads/],
    [
      "has heads that do not divide the width",
      field("num_attention_heads", 5),
      /a width of 32 cannot be split over 5 heads/,
    ],
    [
      "has an unknown activation",
      field("hidden_act", "mish"),
      /activation 'mish' is not supported; supported are gelu/,
    ],
    ["has scaled rotary positions", field("rope_parameters", { rope_type: "yarn" }), /yarn/],
  ])("that %s is refused with the field's name", async (_, config, says) => {
    const error = await failure(await damaged({ config }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(says);
    expect(String(error)).toMatch("config.json");
  });
});

describe("tokenizers", () => {
  it("one that gives ids beyond the model's vocabulary is refused", async () => {
    const folder = await damaged({});
    await copyFile(join(starterFolder(), "tokenizer.json"), join(folder, "tokenizer.json"));
    const opened = openModel(device, folder);
    await expect(opened).rejects.toThrow(VocabularyMismatchError);
    await expect(opened).rejects.toThrow("the tokenizer's ids go up to 4095, but the model's vocab_size is 97");
  });

  it("one that is missing is named", async () => {
    await expect(openModel(device, await damaged({}))).rejects.toThrow(TokenizerNotFoundError);
  });
});

describe("texts and ids", () => {
  it("a text longer than the context is refused by its number and length, before anything is computed", async () => {
    const opened = await openModel(device, "starter");
    const texts = ["short", "word ".repeat(300)];
    const continued = continueTexts(device, opened, texts, { maxNewTokens: 10 });
    await expect(continued).rejects.toThrow(ContextLengthError);
    await expect(continued).rejects.toThrow(
      /^prompt 2 \(\d{3} tokens\) with 10 new ones needs \d{3} tokens but the model's context holds 256/,
    );
    await expect(continueTexts(device, opened, ["short"], { maxNewTokens: 256 })).rejects.toThrow(ContextLengthError);
    await expect(continueTexts(device, opened, [""], { bos: false })).rejects.toThrow(PromptError);
    expect(await continueTexts(device, opened, [])).toEqual([]);
    const [unprompted] = await continueTexts(device, opened, [""], { maxNewTokens: 2, minNewTokens: 2 });
    expect(unprompted).toMatchObject({ promptIds: Int32Array.of(0) });
    expect(unprompted?.ids).toHaveLength(2);
  });

  it("prompts that a generator was not made for, and ids that the model does not have, are refused", async () => {
    const model = await loadModel(device, modelFolder("gpt-neox"));
    const generator = await Generator.create(device, model, { batch: 2, promptTokens: 4, maxNewTokens: 3 });
    const generate = (...prompts: number[][]) =>
      generator.generate(
        prompts.map((ids) => Int32Array.from(ids)),
        defaultSampling,
        Random.fromSeed(1),
      );
    await expect(generate([3], [1, 97])).rejects.toThrow(TokenIdError);
    await expect(generate([3], [1, 97])).rejects.toThrow("token id 97 at place 1 is outside the vocabulary of 97");
    await expect(generate([-1])).rejects.toThrow(TokenIdError);
    await expect(generate([1, 2, 3, 4, 5])).rejects.toThrow(ContextLengthError);
    await expect(generate([])).rejects.toThrow("prompt 0 is empty");
    await expect(generate()).rejects.toThrow(PromptError);
    await expect(generate([1], [2], [3])).rejects.toThrow("got 3 prompts for a batch of 2");
    await expect(Generator.create(device, model, { batch: 1, promptTokens: 30, maxNewTokens: 11 })).rejects.toThrow(
      ContextLengthError,
    );
    expect(await generate([3], [96])).toHaveLength(2);
  });

  it("a forward pass refuses ids and positions that the model does not have", async () => {
    const model = await loadModel(device, modelFolder("gpt-neo"));
    const { hidden } = forward(model, { shape: [1, 2] });
    const program = await device.compile({ stores: [model.store], outputs: { hidden } });
    const positions = plainPositions([1, 2]);
    for (const id of [-1, model.config.vocabSize])
      await expect(program.run({ ids: Int32Array.of(3, id), positions })).rejects.toThrow(InputMismatchError);
    const beyond = Int32Array.of(0, model.config.contextLength);
    await expect(program.run({ ids: Int32Array.of(3, 4), positions: beyond })).rejects.toThrow(
      "input 'positions': got id",
    );
  });

  it("an adapter for a weight that cannot have one is refused, with those that can", async () => {
    const model = await loadModel(device, modelFolder("gpt-neox"));
    const options = { rank: 2, alpha: 4, targets: ["gpt_neox.embed_in.weight"] };
    await expect(addLora(device, model, options, Random.fromSeed(1))).rejects.toThrow(
      /'gpt_neox\.embed_in\.weight' is no Linear weight of this model; adapters fit gpt_neox\.layers\.0\./,
    );
  });

  it.each([
    [{ rank: 0 }, /^rank is 0; expected a whole number of at least 1$/],
    [{ rank: 1.5 }, /^rank is 1\.5;/],
    [{ alpha: Number.NaN }, /^alpha is NaN;/],
    [{ targets: ["embed_out.weight", "embed_out.weight"] }, /^targets name 'embed_out\.weight' twice/],
  ])("adapters that cannot be made as asked (%o) are refused", async (wrong, message) => {
    const model = await loadModel(device, modelFolder("gpt-neox"));
    const options = { rank: 2, alpha: 4, targets: ["embed_out.weight"], ...wrong };
    await expect(addLora(device, model, options, Random.fromSeed(1))).rejects.toThrow(message);
  });
});

describe("training", () => {
  it("that diverges stops with the step and the tensor, and keeps the last weights", async () => {
    const model = await loadModel(device, modelFolder("gpt-neox"));
    const optimizer = await createOptimizer(device, model.parameters);
    const shape = [2, 8] as const;
    const loss = nextTokenLoss(model, shape);
    const program = await device.compile({
      stores: [model.store, optimizer.store],
      outputs: { loss },
      updates: [optimizer.update(loss)],
    });
    const ids = Int32Array.from({ length: 16 }, (_, at) => 2 + ((7 * at) % 90));
    const batch = { ids, positions: plainPositions(shape), targets: targetsOf(ids, shape) };
    const options: AdamWOptions = {
      learningRate: 1e25,
      beta1: 0.9,
      beta2: 0.999,
      eps: 1e-8,
      weightDecay: 0,
      maxGradientNorm: 1,
    };
    await program.run({ ...batch, ...optimizer.inputsAt(1, options) });
    const weights = await readFloats(model.store, "gpt_neox.embed_in.weight");
    const error = await program.run({ ...batch, ...optimizer.inputsAt(2, options) }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NonFiniteError);
    expect(error).toMatchObject({ step: 2, tensor: expect.stringMatching(/^the gradient of gpt_neox\./) });
    expect(await readFloats(model.store, "gpt_neox.embed_in.weight")).toEqual(weights);
  });
});

function withAt(data: Float32Array, at: number, value: number): Float32Array {
  const copy = data.slice();
  copy[at] = value;
  return copy;
}
