/** Dictionaries of other programs against their own loaders; test/fixtures/sae/make_foreign.py made the files and the numbers. */
import { readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { expectClose } from "../../../test/conformance/close-to.ts";
import { fixturePath } from "../../../test/conformance/fixtures.ts";
import { createCpuDevice } from "../../engine/cpu/device.ts";
import type { Device } from "../../engine/device.ts";
import * as ops from "../../engine/ops.ts";
import { parseConfig } from "../../models/config.ts";
import { SaeFormatError } from "../errors.ts";
import { loadSae, saveSae } from "../format.ts";
import { decodeNode, encodeNode } from "../graph.ts";
import { placeSae } from "../inference.ts";
import { withUnitDecoder } from "../normal-form.ts";
import type { Sae } from "../sae.ts";
import { openDictionary } from "./dictionary.ts";
import { placeOf } from "./fit.ts";

const root = fixturePath("sae/foreign");
const numbers = z.array(z.number());
const expected = z
  .object({ x: numbers, cases: z.record(z.string(), z.object({ features: numbers, reconstruction: numbers })) })
  .parse(JSON.parse(readFileSync(join(root, "expected.json"), "utf8")));
const [N, D] = [8, 6];
const close = { absolute: 2e-6, relative: 2e-6 };

let device: Device;
let scratch = "";
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "lfp-foreign-"));
});
afterEach(() => rm(scratch, { recursive: true }));

async function computed(sae: Sae) {
  const { store, nodes } = await placeSae(device, "sae", sae);
  const features = encodeNode(ops.input("x", [N, D]), nodes);
  const outputs = { features, reconstruction: decodeNode(features, nodes) };
  const program = await device.compile({ stores: [store], outputs });
  const results = await program.run({ x: Float32Array.from(expected.x) });
  await program.dispose();
  await store.dispose();
  return results;
}

describe.each(Object.entries(expected.cases))("%s", (name, { features, reconstruction }) => {
  it("encodes and decodes as its own loader does", async () => {
    const { sae } = await openDictionary(join(root, name));
    expect(sae).toMatchObject({ D, F: 9 });
    const results = await computed(sae);
    expectClose("features", results["features"], features, close);
    expectClose("reconstruction", results["reconstruction"], reconstruction, close);
    const active = features.filter((value) => value !== 0).length;
    expect(active).toBeGreaterThan(N);
    expect(active).toBeLessThan(features.length - N);
  });

  it("reconstructs the same from decoder rows of length one, and saved in SAELens's format", async () => {
    const { sae } = await openDictionary(join(root, name));
    const unit = withUnitDecoder(sae);
    await saveSae(scratch, unit, {
      modelName: "m",
      layer: 1,
      site: "mlp-output",
      module: "m.1.mlp",
      contextLength: 8,
      prependBos: false,
      dataset: null,
    });
    const results = await computed((await loadSae(scratch)).sae);
    expectClose("reconstruction", results["reconstruction"], reconstruction, close);
    const lengths = Array.from({ length: unit.F }, (_, f) => Math.hypot(...unit.decoder.subarray(f * D, (f + 1) * D)));
    if (sae.activation.kind !== "topk")
      expectClose(
        "lengths",
        lengths,
        lengths.map(() => 1),
        close,
      );
  });
});

describe("what is refused, by name", () => {
  /** A copy with one file changed. */
  async function changed(name: string, file: string, edit: (bytes: Buffer) => Buffer | string): Promise<string> {
    await cp(join(root, name), scratch, { recursive: true });
    await writeFile(join(scratch, file), edit(await readFile(join(scratch, file))));
    return scratch;
  }
  const json = (changes: Record<string, unknown>) => (bytes: Buffer) =>
    JSON.stringify({ ...JSON.parse(bytes.toString()), ...changes });
  /** Another name of the same length. */
  const renamed = (from: string, to: string) => (bytes: Buffer) =>
    Buffer.from(bytes.toString("latin1").replaceAll(from, to), "latin1");

  it.each<[string, string, (bytes: Buffer) => Buffer | string, RegExp]>([
    [
      "dl-AutoEncoder",
      "ae.pt",
      renamed("collections\nOrderedDict", "os\nsystem\n\n\n\n\n\n\n\n\n\n\n\n\n\n"),
      /calls os\.system when Python reads it/,
    ],
    ["dl-AutoEncoder", "ae.pt", (bytes) => bytes.subarray(0, bytes.length >> 1), /no sound zip archive: it has no end/],
    ["dl-AutoEncoder", "ae.pt", () => "text", /no sound zip archive/],
    [
      "dl-AutoEncoderTopK",
      "config.json",
      json({ trainer: { dict_class: "AutoEncoder" } }),
      /'b_dec' belongs to no part of this kind/,
    ],
    [
      "dl-AutoEncoder",
      "config.json",
      json({ trainer: { dict_class: "CrossCoder" } }),
      /dict_class is 'CrossCoder'; expected one of AutoEncoder,/,
    ],
    ["sparsify/layers.1.mlp", "cfg.json", json({ activation: "groupmax" }), /activation/],
    ["sparsify/layers.1.mlp", "cfg.json", json({ transcode: true }), /transcode/],
    ["sparsify/layers.1.mlp", "cfg.json", json({ k: 10 }), /k is 10, but the dictionary has 9 features/],
    ["saelens-standard", "cfg.json", json({ normalize_activations: "layer_norm" }), /normalize_activations/],
    [
      "saelens-standard",
      "cfg.json",
      json({ architecture: "transcoder" }),
      /is transcoder; expected one of standard, topk, jumprelu, gated/,
    ],
    ["saelens-gated", "cfg.json", json({ architecture: "jumprelu" }), /'b_enc' is missing/],
    ["mlp_out/layer_1_width_9_l0_medium", "config.json", json({ type: "transcoder" }), /type/],
    [
      "gemma-scope-2b-pt-mlp/layer_1/width_9/average_l0_3",
      "params.npz",
      renamed("<f4", "|O8"),
      /is of type '\|O8'; expected floats/,
    ],
    [
      "gemma-scope-2b-pt-mlp/layer_1/width_9/average_l0_4",
      "params.npz",
      (bytes) => Buffer.concat([bytes.subarray(0, 90), Buffer.alloc(8), bytes.subarray(98)]),
      /cannot be inflated|holds 31 bytes where its entry says 344/,
    ],
  ])("%s with another %s", async (name, file, edit, says) => {
    const error = await openDictionary(await changed(name, file, edit)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SaeFormatError);
    expect(String(error)).toMatch(says);
  });

  it("a folder without one", async () => {
    await expect(openDictionary(scratch)).rejects.toThrow(
      /holds no dictionary: expected cfg\.json and sae_weights\.safetensors \(SAELens\), .*; it holds nothing/,
    );
    await expect(openDictionary(join(scratch, "none"))).rejects.toThrow(/give a folder that holds one dictionary/);
  });
});

describe("the site that a dictionary encodes", () => {
  const sizes = {
    hidden_size: D,
    intermediate_size: 8,
    num_hidden_layers: 3,
    num_attention_heads: 1,
    vocab_size: 9,
    max_position_embeddings: 8,
  };
  const pythia = parseConfig({ model_type: "gpt_neox", ...sizes }, "config.json");
  const gemma3 = parseConfig({ model_type: "gemma3_text", num_key_value_heads: 1, ...sizes }, "config.json");

  it.each([
    ["saelens-standard", pythia],
    ["sparsify/layers.1.mlp", pythia],
    ["dl-AutoEncoder", pythia],
    ["mlp_out/layer_1_width_9_l0_medium", gemma3],
    ["gemma-scope-2b-pt-mlp/layer_1/width_9/average_l0_3", gemma3],
  ])("is in the files of %s", async (name, config) => {
    expect(placeOf(await openDictionary(join(root, name)), config, name, {})).toEqual({ layer: 1, site: "mlp-output" });
  });

  it.each([
    ["blocks.2.hook_resid_post", pythia, 2],
    ["blocks.2.hook_resid_pre", pythia, 1],
    ["gpt_neox.layers.2", pythia, 2],
    ["layers.1", pythia, 1],
    ["model.layers.1.output", gemma3, 1],
    ["resid_post_layer_1", gemma3, 1],
  ])("is the residual stream where the files say %s", async (site, config, layer) => {
    const { sae, origin } = await openDictionary(join(root, "saelens-standard"));
    expect(placeOf({ sae, origin: { ...origin, site } }, config, "F", {})).toEqual({ layer, site: "residual" });
  });

  it("is the residual stream in Gemma Scope's folders of it", async () => {
    const folder = join(scratch, "gemma-scope-2b-pt-res", "layer_1", "width_9", "average_l0_3");
    await cp(join(root, "gemma-scope-2b-pt-mlp", "layer_1", "width_9", "average_l0_3"), folder, { recursive: true });
    expect(placeOf(await openDictionary(folder), gemma3, folder, {})).toEqual({ layer: 1, site: "residual" });
  });

  it("is not another than asked for, nor one that the model lacks, nor of another width or place", async () => {
    const found = await openDictionary(join(root, "saelens-standard"));
    expect(() => placeOf(found, pythia, "F", { layer: 2 })).toThrow(
      /in F encodes 'blocks\.1\.hook_mlp_out', so layer 1, but layer 2 was asked for/,
    );
    expect(() => placeOf(found, { ...pythia, layers: 1 }, "F", {})).toThrow(
      /encodes layer 1; the model has layers 0 to 0; its files name the model 'pythia-70m'/,
    );
    expect(() => placeOf(found, { ...pythia, width: 512 }, "F", {})).toThrow(
      /encodes 6 numbers a token; the model is 512 wide/,
    );
    const of = (site: string | undefined) => ({ ...found, origin: { ...found.origin, site } });
    expect(() => placeOf(of("blocks.1.hook_resid_mid"), pythia, "F", { layer: 1 })).toThrow(
      /encodes 'blocks\.1\.hook_resid_mid'; LFP Lens reads .* gpt_neox\.layers\.0\.mlp, .* gpt_neox\.layers\.0, in TransformerLens blocks\.0\.hook_resid_post/,
    );
    expect(() => placeOf(of("blocks.1.hook_resid_post"), pythia, "F", { site: "mlp-output" })).toThrow(
      /in F encodes 'blocks\.1\.hook_resid_post', so site residual, but site mlp-output was asked for/,
    );
    // The embeddings, which no layer made.
    expect(() => placeOf(of("blocks.0.hook_resid_pre"), pythia, "F", {})).toThrow(
      /encodes 'blocks\.0\.hook_resid_pre'; LFP/,
    );
    // Before the norm of the MLP's output.
    expect(() => placeOf(of("layers.1.mlp"), gemma3, "F", { layer: 1 })).toThrow(
      /output of model\.layers\.0\.post_feedforward_layernorm/,
    );
    expect(() => placeOf(of(undefined), pythia, "F", {})).toThrow(/does not say which layer it encodes/);
    expect(placeOf(of(undefined), pythia, "F", { layer: 2 })).toEqual({ layer: 2, site: "mlp-output" });
    expect(placeOf(of(undefined), pythia, "F", { layer: 2, site: "residual" })).toEqual({ layer: 2, site: "residual" });
  });
});

it("a tensor that claims more numbers than the file holds, by strides of zero, is refused before it is made", async () => {
  await cp(join(root, "dl-AutoEncoderNew"), scratch, { recursive: true });
  const path = join(scratch, "ae.pt");
  const bytes = await readFile(path);
  // The shape [9, 6] and the strides (1, 9) of the encoder's weight, as K instructions.
  const [shape, strides] = [Buffer.from("K\x09K\x06\x86", "latin1"), Buffer.from("K\x01K\x09\x86", "latin1")];
  bytes.set(Buffer.from("K\xffK\xff\x86", "latin1"), bytes.indexOf(shape));
  bytes.set(Buffer.from("K\x00K\x00\x86", "latin1"), bytes.indexOf(strides));
  await writeFile(path, bytes);
  await expect(openDictionary(scratch)).rejects.toThrow(/'encoder\.weight' is \[255,255\] at 0, beyond the 54 numbers/);
});

describe("archives that ask for more memory than they can fill", () => {
  type Fields = readonly (readonly [at: number, bytes: 2 | 4, value: number])[];
  const header = (signature: number, size: number, fields: Fields): Buffer => {
    const bytes = Buffer.alloc(size);
    bytes.writeUInt32LE(signature);
    for (const [at, width, value] of fields) bytes.writeUIntLE(value, at, width);
    return bytes;
  };

  /** A zip archive of deflated files, each listed under so many names, and so many bytes as it is said to hold. */
  function archiveOf(files: readonly { name: string; plain: Buffer; entries?: number; said?: number }[]): Buffer {
    const bodies: Buffer[] = [];
    const listed: Buffer[] = [];
    let start = 0;
    for (const { name, plain, entries = 1, said = plain.length } of files) {
      const packed = deflateRawSync(plain);
      const body = Buffer.concat([header(0x04034b50, 30, [[26, 2, name.length]]), Buffer.from(name), packed]);
      for (let at = 0; at < entries; at++) {
        const own = entries === 1 ? name : `${at}${name}`;
        const sizes = [
          [20, 4, packed.length],
          [24, 4, said],
          [28, 2, own.length],
          [42, 4, start],
        ] as const;
        listed.push(header(0x02014b50, 46, [[10, 2, 8], ...sizes]), Buffer.from(own));
      }
      bodies.push(body);
      start += body.length;
    }
    const end = header(0x06054b50, 22, [
      [10, 2, listed.length / 2],
      [16, 4, start],
    ]);
    return Buffer.concat([...bodies, ...listed, end]);
  }

  it("a file that would inflate a thousandfold", async () => {
    await writeFile(join(scratch, "params.npz"), archiveOf([{ name: "W_enc.npy", plain: Buffer.alloc(2 ** 26) }]));
    await expect(openDictionary(scratch)).rejects.toThrow(
      /its files are said to hold 67108864 bytes, in an archive of 65\d{3}/,
    );
  });

  it("a file of which a thousand others are copies", async () => {
    await writeFile(
      join(scratch, "params.npz"),
      archiveOf([{ name: "b_enc.npy", plain: Buffer.alloc(64), entries: 1000 }]),
    );
    await expect(openDictionary(scratch)).rejects.toThrow(/has 1000 tensors; expected at most 64 in a dictionary/);
  });

  it("a file that inflates to more than its entry says", async () => {
    await writeFile(
      join(scratch, "params.npz"),
      archiveOf([{ name: "W_enc.npy", plain: Buffer.alloc(2 ** 26), said: 100 }]),
    );
    await expect(openDictionary(scratch)).rejects.toThrow(/'W_enc\.npy' cannot be inflated/);
  });

  it("tensors that all lie in one storage", async () => {
    // A state_dict of 40 tensors [2000] of the same 2000 numbers, by pickle's instructions.
    const word = (text: string) => `X${String.fromCharCode(text.length)}\0\0\0${text}`;
    const size = "M\xd0\x07";
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n((${word("storage")}ctorch\nFloatStorage\n${word("0")}${word("cpu")}${size}tQK\0${size}\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR`;
    const items = Array.from({ length: 40 }, (_, at) => word(`t${at}`) + tensor).join("");
    const pickle = Buffer.from(`\x80\x02}(${items}u.`, "latin1");
    await cp(join(root, "dl-AutoEncoder"), scratch, { recursive: true });
    const files = [
      { name: "data.pkl", plain: pickle },
      { name: "data/0", plain: Buffer.alloc(8000) },
    ];
    await writeFile(join(scratch, "ae.pt"), archiveOf(files));
    await expect(openDictionary(scratch)).rejects.toThrow(
      /has tensors of 2000 numbers and more; its \d{3,4} bytes hold fewer/,
    );
  });
});

it("a dictionary without features is refused", async () => {
  const folder = join(root, "dl-AutoEncoderNew");
  await cp(folder, scratch, { recursive: true });
  const path = join(scratch, "ae.pt");
  const bytes = await readFile(path);
  // The encoder's bias [9] with strides (1,), as K instructions, becomes [0].
  const bias = Buffer.from("K\x09\x85", "latin1");
  bytes.set(Buffer.from("K\x00\x85", "latin1"), bytes.indexOf(bias));
  await writeFile(path, bytes);
  await expect(openDictionary(scratch)).rejects.toThrow(/tensor 'encoder\.bias' is \[0\]; expected \[any\]/);
});
