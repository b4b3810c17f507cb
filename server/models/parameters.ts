/** A checkpoint's tensors by parameter name, whatever the file calls them. */

import { type Adapter, type AdapterFacts, adapterBaseFolder, isAdapterFolder, openAdapter } from "./adapter.ts";
import type { ModelConfig } from "./architectures.ts";
import { checkSpareHead, namesIn, spellings } from "./checkpoint-names.ts";
import { readConfig } from "./config.ts";
import { CheckpointTensorError } from "./errors.ts";
import { outFirst } from "./inputs-first.ts";
import { fileNamesOf, parametersOf } from "./model.ts";
import { openCheckpointTensors, type StoredValues, type TensorInfo, type TensorSource } from "./safetensors.ts";

/** Weights of a model's folder by parameter name, and the config.json that determines the parameters. */
export interface CheckpointParameters extends Omit<TensorSource, "readBytes"> {
  readonly config: ModelConfig;
  readonly configJson: Readonly<Record<string, unknown>>;
  /** What the adapters change if the folder holds adapters: the weights are then its model's with these merged. */
  readonly adapter: AdapterFacts | undefined;
  /** The model and the adapters by themselves if the folder holds adapters. */
  readonly parts?: AdaptedParts;
}

/** A model's parameters, and adapters that change them. */
export interface AdaptedParts {
  readonly base: CheckpointParameters;
  readonly adapter: Adapter;
}

/**
 * Opens the weights of a Hugging Face folder by the names that `parametersOf` gives: a file of the body alone, or
 * with the head under another name, reads like any other, and a folder of adapters as their model with the adapters
 * merged. Checks that every parameter exists in its shape. Throws `ConfigError`, `UnknownArchitectureError`,
 * `CheckpointTensorError` naming the tensor, `AdapterError`, and what `openCheckpointTensors` throws.
 */
export async function openParameters(folder: string): Promise<CheckpointParameters> {
  if (!(await isAdapterFolder(folder))) return await openModelParameters(folder);
  const base = await openModelParameters(await adapterBaseFolder(folder));
  try {
    const { config } = base;
    const spelled = parametersOf(config).map((spec) => ({ spec, spellings: spellings(spec.name, config) }));
    return new AdaptedParameters(
      base,
      await openAdapter(folder, base, spelled, fileNamesOf(config).inputsFirst),
      folder,
    );
  } catch (error) {
    await base.close();
    throw error;
  }
}

async function openModelParameters(folder: string): Promise<CheckpointParameters> {
  const { config, json } = await readConfig(folder);
  const source = outFirst(await openCheckpointTensors(folder), fileNamesOf(config).inputsFirst);
  try {
    checkLayers(source, config);
    const names = namesIn(source, parametersOf(config), config);
    await checkSpareHead(source, names, config);
    return new NamedParameters(source, names, config, json);
  } catch (error) {
    await source.close();
    throw error;
  }
}

class NamedParameters implements CheckpointParameters {
  readonly adapter = undefined;
  readonly config: ModelConfig;
  readonly configJson: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: TensorSource;
  readonly #names: ReadonlyMap<string, string>;

  constructor(
    source: TensorSource,
    names: ReadonlyMap<string, string>,
    config: ModelConfig,
    configJson: Readonly<Record<string, unknown>>,
  ) {
    this.config = config;
    this.configJson = configJson;
    this.#source = source;
    this.#names = names;
    this.tensors = new Map(
      [...names].flatMap(([name, held]) => {
        const info = source.tensors.get(held);
        return info === undefined ? [] : [[name, info] as const];
      }),
    );
  }

  get path(): string {
    return this.#source.path;
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.#source.metadata;
  }

  readFloat32(name: string, options?: { readonly requireFinite?: boolean }): Promise<Float32Array<ArrayBuffer>> {
    return this.#source.readFloat32(this.#held(name), options);
  }

  readStored(name: string): Promise<StoredValues> {
    return this.#source.readStored(this.#held(name));
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The file's name for a parameter. Any other name is passed on unchanged, and the file refuses it. */
  #held(name: string): string {
    return this.#names.get(name) ?? name;
  }
}

/** A model's parameters with the adapters of a folder merged. */
class AdaptedParameters implements CheckpointParameters {
  readonly path: string;
  readonly adapter: AdapterFacts;
  readonly parts: AdaptedParts;
  readonly #base: CheckpointParameters;
  readonly #adapter: Adapter;

  constructor(base: CheckpointParameters, adapter: Adapter, folder: string) {
    this.path = folder;
    this.adapter = adapter.facts;
    this.parts = { base, adapter };
    this.#base = base;
    this.#adapter = adapter;
  }

  get config(): ModelConfig {
    return this.#base.config;
  }

  get configJson(): Readonly<Record<string, unknown>> {
    return this.#base.configJson;
  }

  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.#base.tensors;
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.#base.metadata;
  }

  async readFloat32(name: string, options?: { readonly requireFinite?: boolean }): Promise<Float32Array<ArrayBuffer>> {
    return this.#adapter.merged(name, await this.#base.readFloat32(name, options));
  }

  async readStored(name: string): Promise<StoredValues> {
    if (!this.#adapter.changes.has(name)) return await this.#base.readStored(name);
    return { stored: "f32", values: await this.readFloat32(name, { requireFinite: true }) };
  }

  async close(): Promise<void> {
    await this.#base.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Throws `CheckpointTensorError` if config.json claims more layers than the file has tensors, before allocating any.
 */
function checkLayers({ path, tensors }: TensorSource, { layers }: ModelConfig): void {
  if (layers > tensors.size)
    throw new CheckpointTensorError(
      `${path} holds ${tensors.size} tensors, but config.json says that the model has ${layers} layers; the two do not belong together`,
    );
}
