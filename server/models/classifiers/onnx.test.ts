/** Classifiers as ONNX files: what is read of them, what is refused. Their logits are in test/conformance/classifiers.test.ts. */
import { cp, mkdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scratchFolder } from "../../../test/unit/runs/scratch.ts";
import { Random } from "../../common/random.ts";
import { createCpuDevice } from "../../engine/cpu/device.ts";
import type { Device } from "../../engine/device.ts";
import { encodeModel, type OnnxModel } from "../../engine/onnx/model-writer.ts";
import { Classifier, readClassifierLabels } from "../classifier.ts";
import { ClassifierError } from "./errors.ts";
import { parseOnnx } from "./onnx-file.ts";

const electra = fileURLToPath(new URL("../../../test/fixtures/classifiers/onnx-electra", import.meta.url));
/** Each letter's contribution to the two logits; the padding, id 0, contributes nothing. */
const weights = Float32Array.of(0, 0, 1, -1, 0.5, 0.25, -2, 4);
const tokenizer = {
  version: "1.0",
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "Whitespace" },
  post_processor: null,
  decoder: null,
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 9,
    vocab: { "[PAD]": 0, a: 1, b: 2, "[UNK]": 3 },
  },
};

/** Logits [B, 2]: the sums of the ids' rows of `weights`, which stand in a file of that name. */
function summing(location: string, changes: Partial<OnnxModel> = {}): Uint8Array {
  const free = [-1, -1];
  return encodeModel({
    nodes: [
      { op: "Gather", inputs: [location, "input_ids"], outputs: ["rows"], attributes: {}, domain: "" },
      { op: "ReduceSum", inputs: ["rows", "axis"], outputs: ["logits"], attributes: { keepdims: 0 }, domain: "" },
    ],
    inputs: [{ name: "input_ids", dtype: "i64", shape: free }],
    outputs: [{ name: "logits", dtype: "f32", shape: [-1, 2] }],
    initializers: [
      { name: location, dtype: "f32", shape: [4, 2], data: undefined },
      { name: "axis", dtype: "i64", shape: [1], data: BigInt64Array.of(1n) },
    ],
    ...changes,
  });
}

async function folderWith(model: Uint8Array, files: Readonly<Record<string, Uint8Array>> = {}): Promise<string> {
  const folder = await scratchFolder();
  await mkdir(join(folder, "onnx"));
  const config = {
    model_type: "sums",
    architectures: ["SumsForSequenceClassification"],
    vocab_size: 4,
    pad_token_id: 0,
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(folder, "onnx/model.onnx"), model);
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, "onnx", name), bytes);
  return folder;
}

const data = new Uint8Array(weights.buffer);

describe("a classifier as ONNX", () => {
  let device: Device;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
  });
  afterAll(() => device.close());

  const logitsOf = async (folder: string, texts: readonly string[]): Promise<number[]> => {
    await using classifier = await Classifier.load(device, folder);
    return [...(await classifier.logits(texts))];
  };
  const refusal = async (folder: string): Promise<string> =>
    await logitsOf(folder, ["a"]).then(
      (logits) => `loaded, ${logits.join(" ")}`,
      (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error)),
    );

  it("may keep its weights in a file beside it, and takes only the inputs that it has", async () => {
    const folder = await folderWith(summing("model.onnx_data"), { "model.onnx_data": data });
    expect(await logitsOf(folder, ["a", "a b b", "c"])).toEqual([1, -1, 2, -0.5, -2, 4]);
    expect(await readClassifierLabels(folder)).toEqual(["LABEL_0", "LABEL_1"]);
  });

  it("is checked without a second reading of a file that has not changed", async () => {
    const folder = await folderWith(summing("model.onnx_data"), { "model.onnx_data": data });
    const path = join(folder, "onnx/model.onnx");
    const at = new Date(1e9);
    await utimes(path, at, at);
    expect(await readClassifierLabels(folder)).toEqual(["LABEL_0", "LABEL_1"]);
    const { length } = await readFile(path);
    await writeFile(path, "x".repeat(length));
    await expect(readClassifierLabels(folder)).rejects.toThrow("is no ONNX model");
    await utimes(path, at, at);
    expect(await readClassifierLabels(folder)).toEqual(["LABEL_0", "LABEL_1"]);
  });

  it("runs on the CPU device that is given, with the threads of that", async () => {
    const folder = await folderWith(summing("model.onnx_data"), { "model.onnx_data": data });
    const own = await createCpuDevice({ threads: 1 });
    const classifier = await Classifier.load(own, folder);
    expect([...(await classifier.logits(["a"]))]).toEqual([1, -1]);
    await own.close();
    await expect(classifier.logits(["a"])).rejects.toThrow("the device was closed");
  });

  it("reads no weights from elsewhere", async () => {
    for (const location of ["../config.json", "/etc/hostname", "weights/a", "..", ".hidden", "a\\b"])
      expect(await refusal(await folderWith(summing(location), {}))).toMatch(
        /^ClassifierError: .*has weights in ".*"; only a file beside it is read/,
      );
    expect(await refusal(await folderWith(summing("model.onnx_data")))).toMatch(/but there is no such file/);
    const linked = await folderWith(summing("model.onnx_data"));
    await writeFile(join(linked, "elsewhere"), data);
    await symlink(join(linked, "elsewhere"), join(linked, "onnx/model.onnx_data"));
    expect(await refusal(linked)).toMatch(/is a link to .*elsewhere\. Put the file itself there/);
    const short = await folderWith(summing("model.onnx_data"), { "model.onnx_data": data.subarray(0, 8) });
    expect(await refusal(short)).toMatch(/^ClassifierError: .*ONNX Runtime refused a model/);
  });

  it("is refused where it takes or gives something else", async () => {
    const image = { name: "pixel_values", dtype: "f32", shape: [-1, -1] } as const;
    const ids = { name: "input_ids", dtype: "i64", shape: [-1, -1] } as const;
    const logits = { name: "logits", dtype: "f32", shape: [-1, 2] } as const;
    const cases: readonly (readonly [Partial<OnnxModel>, RegExp])[] = [
      [{ inputs: [image] }, /takes pixel_values, and no input_ids; expected a text classifier as optimum/],
      [{ inputs: [ids, image] }, /takes an input pixel_values;/],
      [{ inputs: [{ ...ids, dtype: "f32" }] }, /takes input_ids of ONNX's type 1;/],
      [{ inputs: [{ ...ids, shape: [1, -1] }] }, /takes input_ids of shape \[1, free\];/],
      [{ outputs: [{ ...logits, name: "rows" }] }, /gives rows, and no logits;/],
      [{ outputs: [{ ...logits, shape: [-1, 3] }] }, /gives logits of shape \[free, 3\];/],
      [{ outputs: [{ ...logits, shape: [-1, -1, 2] }] }, /gives logits of shape \[free, free, 2\];/],
      [{ outputs: [{ ...logits, dtype: "i64" }] }, /gives logits of ONNX's type 7;/],
    ];
    for (const [changes, message] of cases) {
      const said = await refusal(await folderWith(summing("model.onnx_data", changes), { "model.onnx_data": data }));
      expect(said).toMatch(/^ClassifierError: /);
      expect(said).toMatch(message);
    }
  });

  it("is refused where it is no model, or its tokenizer is none", async () => {
    expect(await refusal(await folderWith(Buffer.from("version https://git-lfs.github.com/spec/v1\n")))).toMatch(
      /git lfs pull/i,
    );
    expect(await refusal(await folderWith(new Uint8Array()))).toMatch(/is no ONNX model \(it has 0 graphs/);
    const whole = await readFile(join(electra, "onnx/model.onnx"));
    expect(await refusal(await folderWith(whole.subarray(0, 20_000)))).toMatch(/is no ONNX model \(it ends before the/);
    const folder = await folderWith(summing("model.onnx_data"), { "model.onnx_data": data });
    await writeFile(
      join(folder, "tokenizer.json"),
      JSON.stringify({ ...tokenizer, model: { type: "New", vocab: {} } }),
    );
    expect(await refusal(folder)).toMatch(/^ClassifierTokenizerError: .*is no tokenizer/);
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
    await writeFile(join(folder, "tokenizer_config.json"), "{");
    expect(await refusal(folder)).toMatch(/^TokenizerFileError: .*tokenizer_config\.json: not JSON/);
    await rm(join(folder, "tokenizer.json"));
    expect(await refusal(folder)).toMatch(
      /^TokenizerNotFoundError: there is no .*save it in Python with AutoTokenizer/,
    );
  });

  it("gives way to safetensors of an architecture that is computed with here", async () => {
    const folder = await scratchFolder();
    const distilbert = fileURLToPath(new URL("../../../test/fixtures/classifiers/distilbert", import.meta.url));
    await cp(distilbert, folder, { recursive: true });
    const before = await logitsOf(folder, ["a film"]);
    await mkdir(join(folder, "onnx"));
    await writeFile(join(folder, "onnx/model.onnx"), "nothing");
    expect(await logitsOf(folder, ["a film"])).toEqual(before);
    await rm(join(folder, "model.safetensors"));
    expect(await refusal(folder)).toMatch(/is no ONNX model/);
  });
});

describe("an ONNX file's structure", () => {
  it("is read: inputs without initial values, outputs, no external weights", async () => {
    const file = parseOnnx(await readFile(join(electra, "onnx/model.onnx")), "model.onnx");
    const free = [undefined, undefined];
    expect(file).toEqual({
      inputs: ["input_ids", "attention_mask", "token_type_ids"].map((name) => ({ name, elementType: 7, shape: free })),
      outputs: [{ name: "logits", elementType: 1, shape: [undefined, 2] }],
      external: [],
    });
  });

  it("of mutated and cut bytes is read or refused, and nothing else", async () => {
    const whole = await readFile(join(electra, "onnx/model.onnx"));
    const random = Random.fromSeed(7);
    let refused = 0;
    for (let trial = 0; trial < 300; trial++) {
      const bytes = Uint8Array.from(whole.subarray(0, trial % 3 === 0 ? random.integer(whole.length) : whole.length));
      for (let change = 0; change < 5; change++) bytes[random.integer(bytes.length)] = random.integer(256);
      try {
        parseOnnx(bytes, "model.onnx");
      } catch (error) {
        expect(error).toBeInstanceOf(ClassifierError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});
