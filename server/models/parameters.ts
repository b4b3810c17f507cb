/** A checkpoint's tensors by parameter name, whatever the file calls them. */

import type { ModelConfig } from "./architectures.ts";
import { checkSpareHead, namesIn } from "./checkpoint-names.ts";
import { readConfig } from "./config.ts";
import { CheckpointTensorError } from "./errors.ts";
import { parametersOf } from "./model.ts";
import { openCheckpointTensors, type TensorInfo, type TensorSource } from "./safetensors.ts";

/** Weights of a model's folder by parameter name, and the config.json that determines the parameters. */
export interface CheckpointParameters extends TensorSource {
  readonly config: ModelConfig;
  readonly configJson: Readonly<Record<string, unknown>>;
}

/**
 * Opens the weights of a Hugging Face folder by the names that `parametersOf` gives: a file of the body alone, or
 * with the head under another name, reads like any other. Checks that every parameter exists in its shape. Throws
 * `ConfigError`, `UnknownArchitectureError`, `CheckpointTensorError` naming the tensor, and what
 * `openCheckpointTensors` throws.
 */
export async function openParameters(folder: string): Promise<CheckpointParameters> {
  const { config, json } = await readConfig(folder);
  const source = await openCheckpointTensors(folder);
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

  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#source.readBytes(this.#held(name));
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

/**
 * Throws `CheckpointTensorError` if config.json claims more layers than the file has tensors, before allocating any.
 */
function checkLayers({ path, tensors }: TensorSource, { layers }: ModelConfig): void {
  if (layers > tensors.size)
    throw new CheckpointTensorError(
      `${path} holds ${tensors.size} tensors, but config.json says that the model has ${layers} layers; the two do not belong together`,
    );
}
