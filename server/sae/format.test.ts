import { readFileSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { Random } from "../common/random.ts";
import * as ops from "../engine/ops.ts";
import { ModelFileError, openSafetensors, SafetensorsError, writeSafetensors } from "../models/safetensors.ts";
import { SaeFormatError } from "./errors.ts";
import { loadSae, type SaeMetadata, saveSae } from "./format.ts";
import { decodeNode, encodeNode } from "./graph.ts";
import { placeSae } from "./inference.ts";
import { type Sae, unitRows } from "./sae.ts";

/** Saved by SAELens: test/fixtures/sae/make_saelens.py. */
const saeLensFolder = fileURLToPath(new URL("../../test/fixtures/sae/saelens", import.meta.url));
const expected: Readonly<Record<"standard" | "topk" | "jumprelu", { features: number[]; reconstruction: number[] }>> & {
  readonly x: number[];
} = JSON.parse(readFileSync(join(saeLensFolder, "expected.json"), "utf8"));

const metadata: SaeMetadata = {
  modelName: "pythia-70m",
  layer: 3,
  site: "mlp-output",
  module: "gpt_neox.layers.3.mlp",
  contextLength: 256,
  prependBos: true,
  dataset: "stanfordnlp/imdb",
  extra: { run: "demo", seed: 7 },
};

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-sae-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("what SAELens saved", () => {
  test.each(["standard", "topk", "jumprelu"] as const)("computes here what it computes there: %s", async (name) => {
    const { sae, metadata: found } = await loadSae(join(saeLensFolder, name));
    expect(found).toMatchObject({ model_name: "pythia-70m", hook_name: "blocks.1.hook_mlp_out" });
    expect(sae.encoder === sae.decoder).toBe(name === "standard");
    for (const { open } of devicesUnderTest) {
      await using resources = new AsyncDisposableStack();
      const device = await open();
      resources.defer(() => device.close());
      const { store, nodes } = await placeSae(device, "sae", sae);
      const x = ops.input("x", [7, 5]);
      const features = encodeNode(x, nodes);
      const program = await device.compile({
        stores: [store],
        outputs: { features, reconstruction: decodeNode(features, nodes) },
      });
      const results = await program.run({ x: Float32Array.from(expected.x) });
      expectClose("features", results["features"], expected[name].features, { absolute: 1e-6, relative: 0 });
      expectClose("reconstruction", results["reconstruction"], expected[name].reconstruction, {
        absolute: 1e-6,
        relative: 0,
      });
    }
  });
});

describe("what is saved here", () => {
  test.each([
    ["tied", true, { kind: "relu" }],
    ["untied", false, { kind: "relu" }],
    ["TopK", true, { kind: "topk", k: 2 }],
    ["JumpReLU", false, { kind: "jumprelu", threshold: Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6) }],
  ] as const)("comes back bit for bit: %s", async (_, tied, activation) => {
    const sae = { ...randomSae(tied), activation };
    await saveSae(folder, sae, metadata);
    const { sae: again } = await loadSae(folder);
    expect(again).toEqual(sae);
    expect(again.encoder === again.decoder).toBe(tied);
  });

  test("is laid out as SAELens asks", async () => {
    const sae = randomSae(true);
    await saveSae(folder, sae, metadata);
    expect((await readdir(folder)).toSorted()).toEqual(["cfg.json", "sae_weights.safetensors"]);
    expect(JSON.parse(await readFile(join(folder, "cfg.json"), "utf8"))).toEqual({
      architecture: "standard",
      d_in: 4,
      d_sae: 6,
      dtype: "float32",
      device: "cpu",
      apply_b_dec_to_input: false,
      normalize_activations: "none",
      reshape_activations: "none",
      metadata: {
        run: "demo",
        seed: 7,
        sae_lens_version: "6.18.0",
        sae_lens_training_version: null,
        model_name: "pythia-70m",
        hook_name: "blocks.3.hook_mlp_out",
        hf_hook_name: "gpt_neox.layers.3.mlp",
        hook_head_index: null,
        model_class_name: "HookedTransformer",
        model_from_pretrained_kwargs: { center_writing_weights: false },
        prepend_bos: true,
        context_size: 256,
        dataset_path: "stanfordnlp/imdb",
        neuronpedia_id: null,
      },
    });
    await using weights = await openSafetensors(join(folder, "sae_weights.safetensors"));
    const shapes = Object.fromEntries([...weights.tensors].map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual({ W_enc: [4, 6], b_enc: [6], W_dec: [6, 4], b_dec: [4] });
    const encoder = await weights.readFloat32("W_enc");
    expect(encoder[1 * 6 + 5]).toBe(sae.encoder[5 * 4 + 1]);
  });
});

describe("refuses", () => {
  const weightsPath = (): string => join(folder, "sae_weights.safetensors");
  const configPath = (): string => join(folder, "cfg.json");

  beforeEach(() => saveSae(folder, randomSae(true), metadata));

  const edit = async (change: (config: Record<string, unknown>) => void): Promise<void> => {
    const config: Record<string, unknown> = JSON.parse(await readFile(configPath(), "utf8"));
    change(config);
    await writeFile(configPath(), JSON.stringify(config));
  };
  const refusal = async (): Promise<unknown> => loadSae(folder).catch((error: unknown) => error);

  test.each([
    ["an unknown architecture", "architecture", "transcoder"],
    ["a decoder bias that is subtracted or not", "apply_b_dec_to_input", "first"],
    ["normalised inputs", "normalize_activations", "layer_norm"],
    ["a size that is no count", "d_sae", 2.5],
    ["no metadata", "metadata", undefined],
  ])("%s", async (_, key, value) => {
    await edit((config) => {
      config[key] = value;
    });
    const error = await refusal();
    expect(error).toBeInstanceOf(SaeFormatError);
    expect(String(error)).toContain(key);
    expect(String(error)).toContain(configPath());
  });

  test("a config that is no JSON, or is not there", async () => {
    await writeFile(configPath(), "{");
    expect(await refusal()).toBeInstanceOf(SaeFormatError);
    await rm(configPath());
    expect(await refusal()).toBeInstanceOf(SaeFormatError);
  });

  test("weights of other sizes than the config's, missing or foreign tensors", async () => {
    await edit((config) => {
      config["d_sae"] = 7;
    });
    expect(String(await refusal())).toMatch(/'W_enc' is \[4,6\]; cfg.json asks for \[4,7\]/);
    await edit((config) => {
      config["d_sae"] = 6;
    });
    await writeSafetensors(weightsPath(), []);
    expect(String(await refusal())).toMatch(/'W_enc' is missing/);
    await cp(join(saeLensFolder, "standard"), folder, { recursive: true, force: true });
    const sae = await openSafetensors(weightsPath());
    const tensors = await Promise.all(
      [...sae.tensors].map(async ([name, { shape }]) => ({
        name,
        dtype: "F32" as const,
        shape,
        data: await sae.readFloat32(name),
      })),
    );
    await sae.close();
    await writeSafetensors(weightsPath(), [
      ...tensors,
      { name: "threshold", dtype: "F32", shape: [8], data: new Float32Array(8) },
    ]);
    expect(String(await refusal())).toMatch(/'threshold' belongs to no part/);
  });

  test("damaged weights", async () => {
    const bytes = await readFile(weightsPath());
    await writeFile(weightsPath(), bytes.subarray(0, -3));
    expect(await refusal()).toBeInstanceOf(SafetensorsError);
    await rm(weightsPath());
    expect(await refusal()).toBeInstanceOf(ModelFileError);
    const sae = randomSae(true);
    sae.encoderBias[3] = Number.NaN;
    await saveSae(folder, sae, metadata);
    expect(String(await refusal())).toMatch(/b_enc.*NaN/);
  });
});

/** D 4, F 6. */
function randomSae(tied: boolean): Sae {
  const random = Random.fromSeed(9);
  const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());
  const decoder = unitRows(draw(24), 4);
  return {
    D: 4,
    F: 6,
    activation: { kind: "relu" },
    encoder: tied ? decoder : draw(24),
    encoderBias: draw(6),
    decoder,
    decoderBias: draw(4),
  };
}
