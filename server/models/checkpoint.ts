import { copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import type { Random } from "../common/random.ts";
import type { Device, StateStore } from "../engine/device.ts";
import { sizeOf } from "../engine/graph.ts";
import type { ParameterSpec } from "./architecture.ts";
import { checkSpareHead, namesIn } from "./checkpoint-names.ts";
import { type ModelConfig, parseConfig, readConfig } from "./config.ts";
import { CheckpointTensorError } from "./errors.ts";
import { initialNormOf, type Model, modelOf, parametersOf } from "./model.ts";
import { openCheckpointTensors, type TensorSource, type TensorToWrite, writeSafetensors } from "./safetensors.ts";

/** A model on a device, and what is needed to save it again. */
export interface LoadedModel extends Model {
  readonly folder: string | undefined;
  readonly configJson: Readonly<Record<string, unknown>>;
}

export type WeightDtype = TensorToWrite["dtype"];

export interface LoadOptions {
  /** Before every name in the store, so that one program can reach two models. A model that has one cannot be saved. */
  readonly prefix?: string;
}

/**
 * Loads a Hugging Face folder (config.json, safetensors) onto a device. Weights are F32 there, whatever the file holds. Throws `ConfigError`,
 * `UnknownArchitectureError`, `CheckpointTensorError` naming the tensor, and what `openCheckpointTensors` throws.
 */
export async function loadModel(
  device: Device,
  folder: string,
  { prefix = "" }: LoadOptions = {},
): Promise<LoadedModel> {
  const { config, json } = await readConfig(folder);
  await using source = await openCheckpointTensors(folder);
  checkLayers(source, config);
  const parameters = parametersOf(config);
  await device.admitState?.(4 * parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  const entries = await readParameters(source, parameters, config);
  const store = await device.createState(entries.map((entry) => ({ ...entry, name: prefix + entry.name })));
  return { ...modelOf(config, store, prefix), folder, configJson: json };
}

/** A model with random weights, as it is before any training: normal of the given deviation, norms one, biases zero. */
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

export interface SaveOptions {
  readonly dtype?: WeightDtype;
  /** Tensors beside the model's own, such as a value head. */
  readonly extra?: readonly TensorToWrite[];
}

/**
 * Saves in Hugging Face layout: config.json, model.safetensors, and the tokenizer's files when the model came from a folder that has
 * them. F32 by default, which loses nothing.
 */
export async function saveModel(
  model: LoadedModel,
  folder: string,
  { dtype = "F32", extra = [] }: SaveOptions = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors: TensorToWrite[] = [];
  for (const { name, shape } of parametersOf(model.config))
    tensors.push({ name, dtype, shape, data: await readFloats(model.store, name) });
  await writeSafetensors(join(folder, "model.safetensors"), [...tensors, ...extra]);
  if (model.folder !== undefined && model.folder !== folder) await copyTokenizer(model.folder, folder);
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

/** Before anything is made for every layer: the file has at least a tensor of each. Throws `CheckpointTensorError`. */
function checkLayers({ path, tensors }: TensorSource, { layers }: ModelConfig): void {
  if (layers > tensors.size)
    throw new CheckpointTensorError(
      `${path} holds ${tensors.size} tensors, but config.json says that the model has ${layers} layers; the two do not belong together`,
    );
}

async function readParameters(
  source: TensorSource,
  specs: readonly ParameterSpec[],
  config: ModelConfig,
): Promise<(ParameterSpec & { values: Float32Array })[]> {
  const names = namesIn(source, specs, config);
  await checkSpareHead(source, names, config);
  const entries: (ParameterSpec & { values: Float32Array })[] = [];
  for (const spec of specs) {
    const values = await source.readFloat32(names.get(spec.name) ?? spec.name, { requireFinite: true });
    entries.push({ ...spec, values });
  }
  return entries;
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

const tokenizerFiles = /^(tokenizer.*\.json|special_tokens_map\.json|vocab\.json|merges\.txt|generation_config\.json)$/;

async function copyTokenizer(from: string, to: string): Promise<void> {
  const names = await readdir(from);
  await Promise.all(
    names.filter((name) => tokenizerFiles.test(name)).map((name) => copyFile(join(from, name), join(to, name))),
  );
}
