/**
 * Classifiers that are published as ONNX for @huggingface/transformers: config.json, tokenizer.json and onnx/model.onnx,
 * run by the CPU device's ONNX Runtime. Letters: B texts, T tokens, L labels.
 */
import { realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { messageOf } from "../../common/errors.ts";
import { schemaProblems } from "../../common/schema-problems.ts";
import { readWholeFile } from "../../common/text-file.ts";
import { visibleLine } from "../../common/untrusted-text.ts";
import { CpuDevice, createCpuDevice } from "../../engine/cpu/device.ts";
import type { OnnxModel, OnnxModelRun } from "../../engine/cpu/onnx-models.ts";
import type { Device } from "../../engine/device.ts";
import { DeviceError } from "../../engine/errors.ts";
import { ConfigError } from "../errors.ts";
import { ONNX_FILE } from "../model-files.ts";
import { ClassifierError } from "./errors.ts";
import type { LogitSource } from "./logit-source.ts";
import { type OnnxFile, type OnnxValue, parseOnnx } from "./onnx-file.ts";
import { loadTextEncoder, readModelMaxLength, type TextEncoder } from "./text-encoder.ts";

/** What is read of such a classifier beside its ONNX file. */
interface OnnxParts {
  readonly path: string;
  readonly encoder: TextEncoder;
  readonly contextLength: number;
  readonly padId: number;
  readonly labels: number;
}

/** Integers per token that such models take, by the names that exporters give them; 1 marks a text's own places. */
const inputs: Readonly<Record<string, (places: Places) => Iterable<number>>> = {
  input_ids: ({ ids }) => ids,
  attention_mask: ({ mask }) => mask,
  // A single text is the first segment.
  token_type_ids: ({ ids }) => new Int32Array(ids.length),
};

interface Places {
  readonly ids: Int32Array;
  readonly mask: Int32Array;
}

const integerTypes: Readonly<Record<number, { from(values: Iterable<number>): Int32Array | BigInt64Array }>> = {
  6: { from: (values) => Int32Array.from(values) },
  7: { from: (values) => BigInt64Array.from(values, BigInt) },
};
const floats = 1;
const logitsName = "logits";

/**
 * Opens the classifier on the device, or, where that is not the CPU's, on a CPU device of its own. Throws what
 * `checkOnnxClassifier` throws.
 */
export async function openOnnxClassifier(
  device: Device,
  json: Readonly<Record<string, unknown>>,
  folder: string,
  labels: number,
): Promise<LogitSource> {
  const parts = await readParts(json, folder, labels);
  const { path } = parts;
  const bytes = await readWholeFile(path, "onnx model");
  const file = parseOnnx(bytes, path);
  checkInterface(file, path, labels);
  const external = await externalFiles(path, file);
  await using opened = new AsyncDisposableStack();
  const cpu =
    device instanceof CpuDevice ? device : opened.adopt(await createCpuDevice(), async (own) => await own.close());
  try {
    const model = opened.adopt(await cpu.openModel({ model: bytes, external }), (own) => own.dispose());
    return new OnnxLogits({ model, file, parts }, opened.move());
  } catch (error) {
    throw error instanceof DeviceError ? new ClassifierError(`${path}: ${error.message}`, { cause: error }) : error;
  }
}

/**
 * Checks config, tokenizer, and what the ONNX file says of inputs and outputs; reads an ONNX file that it found to fit
 * only once it has changed. Throws `ConfigError`, `ClassifierError`, `WholeFileError` and what the tokenizer's loader throws.
 */
export async function checkOnnxClassifier(
  json: Readonly<Record<string, unknown>>,
  folder: string,
  labels: number,
): Promise<void> {
  const { path } = await readParts(json, folder, labels);
  const { size, mtimeNs } = await stat(path, { bigint: true });
  const version = `${labels} ${size} ${mtimeNs} ${path}`;
  if (fitting.has(version)) return;
  checkInterface(parseOnnx(await readWholeFile(path, "onnx model"), path), path, labels);
  fitting.add(version);
}

/** Versions of ONNX files that fit, with their labels: an editor asks after every change of an experiment. */
const fitting = new Set<string>();

async function readParts(json: Readonly<Record<string, unknown>>, folder: string, labels: number): Promise<OnnxParts> {
  const sizes = configSchema.safeParse(json);
  if (!sizes.success) throw new ConfigError(`${folder}/config.json: ${schemaProblems(sizes.error)}`);
  const { vocab_size, max_position_embeddings, pad_token_id } = sizes.data;
  const encoder = await loadTextEncoder(folder, "any");
  if (vocab_size !== undefined && encoder.vocabSize > vocab_size)
    throw new ConfigError(
      `${folder}: the tokenizer has ids up to ${encoder.vocabSize - 1}, but config.json's vocab_size is ${vocab_size}; the two do not belong together`,
    );
  const told = await readModelMaxLength(folder);
  const contextLength = Math.min(told ?? USUAL_TOKENS, max_position_embeddings ?? MOST_TOKENS, MOST_TOKENS);
  return { path: join(folder, ONNX_FILE), encoder, contextLength, padId: pad_token_id ?? 0, labels };
}

/** Tokens of a text where the tokenizer says no length, as RoBERTa's has 514 positions for 512 tokens; and at most. */
const USUAL_TOKENS = 512;
const MOST_TOKENS = 8192;

const configSchema = z.object({
  vocab_size: z.int().positive().optional(),
  max_position_embeddings: z.int().positive().optional().catch(undefined),
  pad_token_id: z.int().nonnegative().nullish(),
});

/** Throws `ClassifierError` for a model that takes or gives something else than a text classifier. */
function checkInterface(file: OnnxFile, path: string, labels: number): void {
  const got = problemOfInputs(file.inputs) ?? problemOfOutputs(file.outputs, labels);
  if (got === undefined) return;
  throw new ClassifierError(
    `${path} ${got}; expected a text classifier as optimum exports it: integers ${Object.keys(inputs).join(", ")} of free batch and length, and 32-bit floats ${logitsName} [batch, ${labels}]`,
  );
}

function problemOfInputs(given: readonly OnnxValue[]): string | undefined {
  if (!given.some(({ name }) => name === "input_ids")) return `takes ${namesIn(given)}, and no input_ids`;
  for (const { name, elementType, shape } of given) {
    if (!Object.hasOwn(inputs, name)) return `takes an input ${visibleLine(name, 60)}`;
    if (!Object.hasOwn(integerTypes, elementType)) return `takes ${name} of ONNX's type ${elementType}`;
    if (shape.length !== 2 || shape.some((size) => size !== undefined)) return `takes ${name} of shape ${shown(shape)}`;
  }
  return undefined;
}

function problemOfOutputs(given: readonly OnnxValue[], labels: number): string | undefined {
  const logits = given.find(({ name }) => name === logitsName);
  if (logits === undefined) return `gives ${namesIn(given)}, and no ${logitsName}`;
  const { elementType, shape } = logits;
  if (elementType !== floats) return `gives ${logitsName} of ONNX's type ${elementType}`;
  // A file need not say an output's shape.
  const fits = shape.length === 0 || (shape.length === 2 && (shape[1] ?? labels) === labels);
  return fits ? undefined : `gives ${logitsName} of shape ${shown(shape)}`;
}

function shown(shape: OnnxValue["shape"]): string {
  return `[${shape.map((size) => size ?? "free").join(", ")}]`;
}

function namesIn(values: readonly OnnxValue[]): string {
  return visibleLine(values.map(({ name }) => name).join(", "), 200) || "nothing";
}

/** The files with weights that the model names: they stand beside it, under plain names, and are no links out of the model. */
async function externalFiles(path: string, { external }: OnnxFile): Promise<{ name: string; bytes: Uint8Array }[]> {
  const folder = dirname(path);
  const own = await realpath(folder);
  // In the hub's cache, the files of models--NAME/snapshots/COMMIT/onnx are links to models--NAME/blobs.
  const blobs = resolve(own, "../../../blobs");
  const files: { name: string; bytes: Uint8Array }[] = [];
  for (const name of external) {
    if (!/^[\w-][\w.-]{0,199}$/.test(name))
      throw new ClassifierError(
        `${path} has weights in ${JSON.stringify(visibleLine(name, 200))}; only a file beside it is read, under a plain name such as model.onnx_data`,
      );
    const place = await realpath(join(folder, name)).catch(() => undefined);
    if (place === undefined)
      throw new ClassifierError(`${path} has weights in ${name}, but there is no such file. Download it too`);
    if (dirname(place) !== own && dirname(place) !== blobs)
      throw new ClassifierError(
        `${path} has weights in ${name}, which is a link to ${place}. Put the file itself there`,
      );
    files.push({ name, bytes: await readWholeFile(place, "onnx model") });
  }
  return files;
}

interface OpenedModel {
  readonly model: OnnxModel;
  readonly file: OnnxFile;
  readonly parts: OnnxParts;
}

class OnnxLogits implements LogitSource {
  readonly #model: OnnxModel;
  readonly #file: OnnxFile;
  readonly #parts: OnnxParts;
  readonly #opened: AsyncDisposableStack;

  constructor({ model, file, parts }: OpenedModel, opened: AsyncDisposableStack) {
    this.#model = model;
    this.#file = file;
    this.#parts = parts;
    this.#opened = opened;
  }

  get contextLength(): number {
    return this.#parts.contextLength;
  }

  encode(text: string): readonly number[] {
    return this.#parts.encoder.encode(text, this.#parts.contextLength);
  }

  async logits(rows: readonly (readonly number[])[], [B, T]: readonly [B: number, T: number]): Promise<Float32Array> {
    const { padId, labels, path } = this.#parts;
    const ids = new Int32Array(B * T).fill(padId);
    const mask = new Int32Array(B * T);
    for (let row = 0; row < B; row++) {
      const own = rows[row] ?? [];
      ids.set(own, row * T);
      mask.fill(1, row * T, row * T + Math.max(1, own.length));
    }
    const run = { inputs: this.#feeds({ ids, mask }), shape: [B, T], output: { name: logitsName, shape: [B, labels] } };
    try {
      return await this.#model.run(run);
    } catch (cause) {
      throw new ClassifierError(`${path} cannot classify a batch of ${T} tokens a text: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  #feeds(places: Places): OnnxModelRun["inputs"] {
    return Object.fromEntries(
      this.#file.inputs.flatMap(({ name, elementType }) => {
        const values = inputs[name]?.(places);
        const typed = values === undefined ? undefined : integerTypes[elementType]?.from(values);
        return typed === undefined ? [] : [[name, typed]];
      }),
    );
  }
}
