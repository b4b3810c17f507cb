/**
 * Text classifiers and reward models of a Hugging Face folder: texts to logits, one a label. Encoders (DistilBERT, BERT)
 * read the first token; models of the architectures' table with a `score` head read the last. Letters: B texts, T tokens,
 * D width, L labels.
 */

import { join } from "node:path";
import { z } from "zod";
import { LfpError, messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { readTextFile } from "../common/text-file.ts";
import type { Device, Program, StateEntry, StateStore } from "../engine/device.ts";
import { describeShape } from "../engine/errors.ts";
import { type Node, sameShape } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { hiddenKeyBias, type ParameterSpec, stateWeights } from "./architecture.ts";
import { type ClassifierParts, classifierParts } from "./classifiers/kinds.ts";
import { ConfigError } from "./errors.ts";
import { outFirst } from "./inputs-first.ts";
import { plainPositions } from "./model.ts";
import { openCheckpointTensors, type TensorSource } from "./safetensors.ts";

/** A classifier's folder does not hold what a classifier needs. */
export class ClassifierError extends LfpError {
  readonly code = "input";
}

/** Tokens in one run of a program, and texts at most. */
const TOKENS_AT_ONCE = 2048;
const TEXTS_AT_ONCE = 32;
const SHORTEST = 16;

/** A classifier on a device. Dispose it after use. */
export class Classifier implements AsyncDisposable {
  /** Names of the labels, in the order of the logits. */
  readonly labels: readonly string[];
  readonly #device: Device;
  readonly #parts: ClassifierParts;
  readonly #store: StateStore;
  readonly #programs = new Map<number, Promise<Program>>();

  private constructor(device: Device, parts: ClassifierParts, labels: readonly string[], store: StateStore) {
    this.#device = device;
    this.#parts = parts;
    this.labels = labels;
    this.#store = store;
  }

  /**
   * Loads config.json, weights and tokenizer of a folder. Throws `ClassifierError`, `ConfigError`, what the tokenizer's
   * loader throws, and what `openCheckpointTensors` throws.
   */
  static async load(device: Device, folder: string): Promise<Classifier> {
    const json = await readConfigJson(folder);
    const labels = labelsOf(json, folder);
    const parts = await classifierParts(json, folder, labels.length);
    await using source = outFirst(await openCheckpointTensors(folder), parts.inputsFirst);
    const names = namesOf(source, parts);
    const entries: StateEntry[] = [];
    for (const spec of parts.parameters)
      entries.push({
        ...spec,
        values: await source.readFloat32(names.get(spec.name) ?? spec.name, { requireFinite: true }),
      });
    return new Classifier(device, parts, labels, await device.createState(entries));
  }

  /**
   * The logits of texts [N, L], each cut at its end to what the model reads. A text without any token, which only a
   * model without special tokens can meet, gets zeros. Rejects with the signal's reason.
   */
  async logits(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array> {
    const L = this.labels.length;
    const encoded = texts.map((text) => this.#parts.encode(text));
    const found = new Float32Array(texts.length * L);
    const byLength = Map.groupBy(encoded.keys(), (at) => this.#placesFor(encoded[at]?.length ?? 0));
    for (const [T, indices] of byLength) {
      if (T === 0) continue;
      const program = await this.#programFor(T);
      const B = textsAtOnce(T);
      for (let start = 0; start < indices.length; start += B) {
        signal?.throwIfAborted();
        const chunk = indices.slice(start, start + B);
        const rows = chunk.map((at) => encoded[at] ?? []);
        const { logits = new Float32Array(B * L) } = await program.run(inputsOf(rows, [B, T], this.#parts));
        for (const [row, at] of chunk.entries()) found.set(logits.subarray(row * L, (row + 1) * L), at * L);
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs.values()) await (await program).dispose();
    await this.#store.dispose();
  }

  /** The program's length for a text of so many tokens: a power of two, or the longest; 0 for none. */
  #placesFor(tokens: number): number {
    if (tokens === 0) return 0;
    let places = SHORTEST;
    while (places < tokens) places *= 2;
    return Math.min(places, this.#parts.contextLength);
  }

  async #programFor(T: number): Promise<Program> {
    const known = this.#programs.get(T) ?? this.#compile(T);
    this.#programs.set(T, known);
    return await known;
  }

  async #compile(T: number): Promise<Program> {
    const B = textsAtOnce(T);
    const { parameters, pooling } = this.#parts;
    const shape = [B, T] as const;
    const logits: Node = this.#parts.logits({
      weights: stateWeights(parameters),
      shape,
      ids: ops.input("ids", shape, "i32"),
      positions: ops.input("positions", shape, "i32"),
      keyBias: pooling === "first" ? ops.input("keyBias", [B, 1, 1, T]) : undefined,
      last: pooling === "last" ? ops.input("last", [B, T, 1]) : undefined,
    });
    return await this.#device.compile({ stores: [this.#store], frozen: [this.#store], outputs: { logits } });
  }
}

function textsAtOnce(T: number): number {
  return Math.max(1, Math.min(TEXTS_AT_ONCE, Math.floor(TOKENS_AT_ONCE / T)));
}

/** A batch padded at the right to B rows of T places. */
function inputsOf(
  rows: readonly (readonly number[])[],
  [B, T]: readonly [number, number],
  { pooling }: Pick<ClassifierParts, "pooling">,
): Record<string, Float32Array | Int32Array> {
  const ids = new Int32Array(B * T);
  const keyBias = new Float32Array(B * T).fill(hiddenKeyBias);
  const last = new Float32Array(B * T);
  for (let row = 0; row < B; row++) {
    const own = rows[row] ?? [];
    ids.set(own, row * T);
    // A row of padding sees its first place, so that its softmax stays finite.
    keyBias.fill(0, row * T, row * T + Math.max(1, own.length));
    last[row * T + Math.max(0, own.length - 1)] = 1;
  }
  const shared = { ids, positions: plainPositions([B, T]) };
  return pooling === "first" ? { ...shared, keyBias } : { ...shared, last };
}

/**
 * The labels of the classifier in a folder, in the order of its logits; reads config.json and tokenizer, and no weights.
 * Throws what `Classifier.load` throws for these.
 */
export async function readClassifierLabels(folder: string): Promise<readonly string[]> {
  const json = await readConfigJson(folder);
  const labels = labelsOf(json, folder);
  await classifierParts(json, folder, labels.length);
  return labels;
}

async function readConfigJson(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const path = join(folder, "config.json");
  try {
    return z.record(z.string(), z.unknown()).parse(parseJson(await readTextFile(path, "config")));
  } catch (cause) {
    throw new ConfigError(`${path} cannot be read as a classifier's config (${messageOf(cause)})`, { cause });
  }
}

const labelSchema = z.object({
  architectures: z.array(z.string()).nullish(),
  id2label: z.record(z.string().regex(/^\d{1,6}$/), z.string()).nullish(),
  num_labels: z.int().positive().max(100_000).nullish(),
});

/** The labels of a classifier; transformers gives two where config.json says nothing. */
function labelsOf(json: Readonly<Record<string, unknown>>, folder: string): string[] {
  const parsed = labelSchema.safeParse(json);
  if (!parsed.success) throw new ClassifierError(`${folder}/config.json: ${schemaProblems(parsed.error)}`);
  const { architectures, id2label, num_labels } = parsed.data;
  const named = architectures?.[0];
  if (named !== undefined && !named.endsWith("ForSequenceClassification"))
    throw new ClassifierError(
      `${folder} holds a ${named}; expected a text classifier or reward model, whose config.json names a ...ForSequenceClassification`,
    );
  const count = id2label ? Object.keys(id2label).length : (num_labels ?? 2);
  return Array.from({ length: count }, (_, at) => id2label?.[String(at)] ?? `LABEL_${at}`);
}

/** The tensor of each parameter. Throws `ClassifierError` for one that is missing, of another shape, or left over. */
function namesOf({ path, tensors }: TensorSource, parts: ClassifierParts): ReadonlyMap<string, string> {
  const held = (spec: ParameterSpec): string => {
    const name = parts.spellings(spec.name).find((spelling) => tensors.has(spelling));
    const info = name === undefined ? undefined : tensors.get(name);
    if (name === undefined || info === undefined)
      throw new ClassifierError(`${path}: tensor '${spec.name}' ${describeShape(spec.shape)} is missing`);
    if (!sameShape(info.shape, spec.shape))
      throw new ClassifierError(
        `${path}: tensor '${name}' is ${describeShape(info.shape)}, but config.json asks for ${describeShape(spec.shape)}`,
      );
    return name;
  };
  const names = new Map(parts.parameters.map((spec) => [spec.name, held(spec)]));
  const used = new Set(names.values());
  for (const name of tensors.keys())
    if (!used.has(name) && !parts.ignorable.test(name))
      throw new ClassifierError(
        `${path}: tensor '${name}' belongs to no part of this classifier; it would be left out silently, so nothing was loaded`,
      );
  return names;
}
