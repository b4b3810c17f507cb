import { copyFile, mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import type { Random } from "../common/random.ts";
import type { Device, StateEntry, StateStore } from "../engine/device.ts";
import { sizeOf } from "../engine/graph.ts";
import { type AdapterFacts, tokenizerFolderOf } from "./adapter.ts";
import type { ParameterSpec } from "./architecture.ts";
import type { ModelConfig } from "./architectures.ts";
import { parseConfig } from "./config.ts";
import { CheckpointTensorError } from "./errors.ts";
import { loadFixed, wideBytesOf } from "./fixed-model.ts";
import { fileNamesOf, initialNormOf, type Model, modelOf, parametersOf } from "./model.ts";
import { CHAT_TEMPLATE_FOLDER, isTokenizerFile } from "./model-files.ts";
import { openParameters } from "./parameters.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors.ts";
import { transposed } from "./transpose.loops.ts";

/** A model on a device, and what is needed to save it again. */
export interface LoadedModel extends Model {
  readonly folder: string | undefined;
  readonly configJson: Readonly<Record<string, unknown>>;
  /** What adapters change if the folder holds adapters. */
  readonly adapted?: AdapterFacts;
  /**
   * The model is large, so its weights are the device's fixed state: adapters can be trained and saved, the weights cannot
   * be changed.
   */
  readonly isFixed?: boolean;
}

export type WeightDtype = TensorToWrite["dtype"];

export interface LoadOptions {
  /**
   * Prefix of every name in the store, so that one program can use two models. A model with a prefix cannot be saved.
   */
  readonly prefix?: string;
  /** Whether all weights are to be trained, so that they must be ordinary state if the device has room for that. */
  readonly isTrained?: boolean;
}

/**
 * Loads a Hugging Face folder (config.json, safetensors) onto a device. Weights are F32 there, whatever the file
 * holds, with adapters merged; those of a large model stay as in the file where the device has memory for that. Throws `ConfigError`, `UnknownArchitectureError`, `CheckpointTensorError` naming the tensor, and what
 * `openCheckpointTensors` throws.
 */
export async function loadModel(
  device: Device,
  folder: string,
  { prefix = "", isTrained = false }: LoadOptions = {},
): Promise<LoadedModel> {
  await using source = await openParameters(folder);
  const { config, configJson, adapter } = source;
  const facts = { folder, configJson, ...(adapter === undefined ? {} : { adapted: adapter }) };
  const bytes = wideBytesOf(config);
  const { fixed } = device;
  if (fixed !== undefined && bytes >= fixed.fromBytes && (fixed.isRequired || !isTrained))
    return { ...(await loadFixed(fixed, source, prefix)), ...facts, isFixed: true };
  const parameters = parametersOf(config);
  await device.admitState?.(bytes);
  const entries: StateEntry[] = [];
  for (const spec of parameters) {
    const values = await source.readFloat32(spec.name, { requireFinite: true });
    entries.push({ ...spec, name: prefix + spec.name, values });
  }
  const store = await device.createState(entries);
  return { ...modelOf(config, store, prefix), ...facts };
}

/** An untrained model: weights normal with the given standard deviation, norms one, biases zero. */
export async function createModel(
  device: Device,
  configJson: Readonly<Record<string, unknown>>,
  random: Random,
  deviation = 0.02,
): Promise<LoadedModel> {
  const config = parseConfig(configJson, "config");
  const store = await device.createState(
    parametersOf(config).map((spec) => ({ ...spec, values: initialValues(config, spec, random, deviation) })),
  );
  return { ...modelOf(config, store), folder: undefined, configJson };
}

/** Notes for the user: where only part of the model's context length is usable, and what adapters changed. */
export function notesOn({
  config,
  configJson,
  adapted,
}: Pick<LoadedModel, "config" | "configJson" | "adapted">): string[] {
  const { max_position_embeddings: stated } = configJson;
  const notes = [];
  if (typeof stated === "number" && stated > config.contextLength)
    notes.push(
      `the model was made for ${stated} tokens at once; lfp computes with the first ${config.contextLength} of them at most`,
    );
  if (adapted !== undefined)
    notes.push(
      `the model's adapters change ${adapted.weights} weights, by ${adapted.deltaNorm.toPrecision(4)} in all (L2 norm)`,
    );
  return notes;
}

export interface SaveOptions {
  readonly dtype?: WeightDtype;
  /** Tensors beside the model's own, such as a value head. */
  readonly extra?: readonly TensorToWrite[];
}

/**
 * Saves in Hugging Face layout: config.json, model.safetensors, and the tokenizer's files when the model came from a
 * folder that has them. Adapters are merged into the weights that are saved. F32 by default, which loses nothing.
 */
export async function saveModel(
  model: LoadedModel,
  folder: string,
  { dtype = "F32", extra = [] }: SaveOptions = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors: TensorToWrite[] = [];
  const { inputsFirst } = fileNamesOf(model.config);
  for (const { name, shape } of parametersOf(model.config)) {
    const data = await readFloats(model.store, name);
    await model.adapters?.addTo(name, data);
    const [out = 0, inputs = 0] = shape;
    const isTurned = inputsFirst?.test(name) === true;
    tensors.push(
      isTurned
        ? { name, dtype, shape: [inputs, out], data: transposed(data, out, inputs) }
        : { name, dtype, shape, data },
    );
  }
  await writeSafetensors(join(folder, "model.safetensors"), [...tensors, ...extra]);
  if (model.folder !== undefined && model.folder !== folder)
    await copyTokenizer(await tokenizerFolderOf(model.folder), folder);
  const { torch_dtype: _, ...rest } = model.configJson;
  const names = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;
  // Both spellings: transformers 4 reads torch_dtype, transformers 5 dtype.
  const json = { ...rest, torch_dtype: names[dtype], dtype: names[dtype] };
  await writeFileAtomically(join(folder, "config.json"), `${JSON.stringify(json, undefined, 2)}\n`);
}

/** A parameter's values as floats. */
export async function readFloats(store: StateStore, name: string): Promise<Float32Array> {
  const values = await store.read(name);
  if (!(values instanceof Float32Array)) throw new CheckpointTensorError(`state '${name}' holds integers, not weights`);
  return values;
}

function initialValues(
  config: ModelConfig,
  { name, shape, role }: ParameterSpec,
  random: Random,
  deviation: number,
): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  if (role === "norm") return values.fill(initialNormOf(config));
  if (role === "bias") return values;
  const own = random.fork(name);
  return values.map(() => deviation * own.normal());
}

async function copyTokenizer(from: string, to: string): Promise<void> {
  const templates = await readdir(join(from, CHAT_TEMPLATE_FOLDER)).catch(() => []);
  const paths = [...(await readdir(from)), ...templates.map((name) => `${CHAT_TEMPLATE_FOLDER}/${name}`)];
  for (const path of paths.filter(isTokenizerFile)) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    await copyFile(join(from, path), join(to, path));
  }
}
