/**
 * Text classifiers and reward models of a Hugging Face folder: texts to logits, one a label. Encoders (DistilBERT, BERT,
 * RoBERTa) read the first token; models of the architectures' table with a `score` head read the last; any other
 * classifier is read where it is published as ONNX, in onnx/model.onnx. Letters: B texts, T tokens, L labels.
 */

import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { LfsPointerError, readTextFile } from "../common/text-file.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import type { Device } from "../engine/device.ts";
import { ClassifierError } from "./classifiers/errors.ts";
import { classifierParts, isReadFromWeights } from "./classifiers/kinds.ts";
import type { LogitSource } from "./classifiers/logit-source.ts";
import { checkOnnxClassifier, openOnnxClassifier } from "./classifiers/onnx.ts";
import { openWeights } from "./classifiers/weights.ts";
import { ConfigError } from "./errors.ts";
import { hasOnnxFile, hasSafetensors } from "./model-files.ts";

/** Tokens in one run of a program, and texts at most. */
const TOKENS_AT_ONCE = 2048;
const TEXTS_AT_ONCE = 32;
const SHORTEST = 16;

/** A classifier on a device. Dispose it after use. */
export class Classifier implements AsyncDisposable {
  /** Names of the labels, in the order of the logits. */
  readonly labels: readonly string[];
  /** Whether several labels may hold of a text at once, so that each has a probability of its own. */
  readonly isMultiLabel: boolean;
  readonly #source: LogitSource;

  private constructor({ labels, isMultiLabel }: Labels, source: LogitSource) {
    this.labels = labels;
    this.isMultiLabel = isMultiLabel;
    this.#source = source;
  }

  /**
   * Loads config.json, weights and tokenizer of a folder; what is stored as ONNX runs on the CPU, whatever the device.
   * Throws `ClassifierError`, `ConfigError`, `UnknownArchitectureError`, what the tokenizer's loader throws, and what
   * `openCheckpointTensors` throws.
   */
  static async load(device: Device, folder: string): Promise<Classifier> {
    const json = await readConfigJson(folder);
    const labels = labelsOf(json, folder);
    const count = labels.labels.length;
    const source = (await isStoredAsOnnx(json, folder))
      ? await openOnnxClassifier(device, json, folder, count)
      : await openWeights(device, await classifierParts(json, folder, count), folder);
    return new Classifier(labels, source);
  }

  /**
   * The logits of texts [N, L], each cut at its end to what the model reads. A text without any token, which only a
   * model without special tokens can meet, gets zeros. Rejects with the signal's reason.
   */
  async logits(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array> {
    const L = this.labels.length;
    const encoded = texts.map((text) => this.#source.encode(text));
    const found = new Float32Array(texts.length * L);
    const byLength = Map.groupBy(encoded.keys(), (at) => this.#placesFor(encoded[at]?.length ?? 0));
    for (const [T, indices] of byLength) {
      if (T === 0) continue;
      const B = textsAtOnce(T);
      for (let start = 0; start < indices.length; start += B) {
        signal?.throwIfAborted();
        const chunk = indices.slice(start, start + B);
        const rows = chunk.map((at) => encoded[at] ?? []);
        const logits = await this.#source.logits(rows, [B, T]);
        for (const [row, at] of chunk.entries()) found.set(logits.subarray(row * L, (row + 1) * L), at * L);
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }

  /** The program's length for a text of so many tokens: a power of two, or the longest; 0 for none. */
  #placesFor(tokens: number): number {
    if (tokens === 0) return 0;
    let places = SHORTEST;
    while (places < tokens) places *= 2;
    return Math.min(places, this.#source.contextLength);
  }
}

function textsAtOnce(T: number): number {
  return Math.max(1, Math.min(TEXTS_AT_ONCE, Math.floor(TOKENS_AT_ONCE / T)));
}

/**
 * The labels of the classifier in a folder, in the order of its logits; checks config.json, tokenizer and what ONNX says
 * of inputs and outputs, and no weights. Throws what `Classifier.load` throws for these.
 */
export async function readClassifierLabels(folder: string): Promise<readonly string[]> {
  const json = await readConfigJson(folder);
  const { labels } = labelsOf(json, folder);
  if (await isStoredAsOnnx(json, folder)) await checkOnnxClassifier(json, folder, labels.length);
  else await classifierParts(json, folder, labels.length);
  return labels;
}

/** Whether onnx/model.onnx is read: it is there, and there are no safetensors of a type that we compute with. */
async function isStoredAsOnnx(json: Readonly<Record<string, unknown>>, folder: string): Promise<boolean> {
  if (!(await hasOnnxFile(folder))) return false;
  return !(isReadFromWeights(json["model_type"]) && (await hasSafetensors(folder)));
}

async function readConfigJson(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const path = join(folder, "config.json");
  try {
    return z.record(z.string(), z.unknown()).parse(parseJson(await readTextFile(path, "config")));
  } catch (cause) {
    if (cause instanceof LfsPointerError) throw cause;
    throw new ConfigError(`${path} cannot be read as a classifier's config (${messageOf(cause)})`, { cause });
  }
}

const labelSchema = z.object({
  architectures: z.array(z.string()).nullish(),
  id2label: z.record(z.string().regex(/^\d{1,6}$/), z.string()).nullish(),
  num_labels: z.int().positive().max(100_000).nullish(),
  problem_type: z.string().nullish(),
});

type Labels = Pick<Classifier, "labels" | "isMultiLabel">;

/** The labels of a classifier; transformers gives two where config.json says nothing. */
function labelsOf(json: Readonly<Record<string, unknown>>, folder: string): Labels {
  const parsed = labelSchema.safeParse(json);
  if (!parsed.success) throw new ClassifierError(`${folder}/config.json: ${schemaProblems(parsed.error)}`);
  const { architectures, id2label, num_labels, problem_type } = parsed.data;
  const named = architectures?.[0];
  if (named !== undefined && !named.endsWith("ForSequenceClassification"))
    throw new ClassifierError(
      `${folder} holds a ${named}; expected a text classifier or reward model, whose config.json names a ...ForSequenceClassification`,
    );
  const isMultiLabel = problem_type === "multi_label_classification";
  if (!id2label) return { labels: Array.from({ length: num_labels ?? 2 }, (_, at) => `LABEL_${at}`), isMultiLabel };
  const count = Object.keys(id2label).length;
  const labels = Array.from({ length: count }, (_, at) => id2label[String(at)] ?? "").filter(Boolean);
  if (count === 0 || labels.length !== count || new Set(labels).size !== count)
    throw new ClassifierError(
      `${folder}/config.json: id2label is ${visibleLine(JSON.stringify(id2label), 200)}; expected a different name for each of 0 to n - 1`,
    );
  return { labels, isMultiLabel };
}
