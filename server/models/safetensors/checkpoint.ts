import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { ModelFileError, shown, TensorNotFoundError } from "./errors.ts";
import type { TensorInfo } from "./header.ts";
import { openSafetensors, type SafetensorsFile, type StoredValues, type TensorSource } from "./read.ts";

/** The names under which transformers saves weights: in one file, or in several that an index lists. */
export const WEIGHTS_FILE = "model.safetensors";
export const INDEX_FILE = "model.safetensors.index.json";

/** A folder without readable weights. */
export class NoWeightsError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string, found: readonly string[]) {
    super(
      `${folder} holds no ${WEIGHTS_FILE} and no ${INDEX_FILE}. It holds ` +
        `${found.length === 0 ? "nothing" : found.slice(0, 10).map(shown).join(", ")}. ` +
        "Give the folder of a checkpoint that transformers saved.",
    );
  }
}

/** The folder's only weights are pickle files, and unpickling can run any code that their author put in. */
export class PickleRefusedError extends LfpError {
  readonly code = "input";

  constructor(place: string, files: readonly string[]) {
    super(
      `${place} holds its weights only as pickle (${files.slice(0, 5).join(", ")}), which can run code when it is read ` +
        "and is refused. Convert it where you trust it: load it in Python with transformers and call " +
        "model.save_pretrained(folder, safe_serialization=True).",
    );
  }
}

/** The index of a sharded checkpoint cannot be used. */
export class CheckpointIndexError extends LfpError {
  readonly code = "input";

  constructor(path: string, detail: string) {
    super(`${path} is not a sound checkpoint index: ${detail}. Download or save the checkpoint again.`);
  }
}

/**
 * Opens all weights of a checkpoint folder as one source, whether they are in one file or in shards. Checks every
 * file's header first. Throws `ModelFileError`, `NoWeightsError`, `PickleRefusedError`, `CheckpointIndexError` and
 * `SafetensorsError`.
 */
export async function openCheckpointTensors(folder: string): Promise<TensorSource> {
  const found = await readdir(folder).catch((cause) => Promise.reject(new ModelFileError(folder, cause)));
  if (found.includes(WEIGHTS_FILE)) return await openSafetensors(join(folder, WEIGHTS_FILE));
  if (found.includes(INDEX_FILE)) return await openShards(folder);
  const pickles = found.filter(isPickle).sort();
  throw pickles.length > 0 ? new PickleRefusedError(folder, pickles) : new NoWeightsError(folder, found.sort());
}

/** Whether a file of this name is a pickle, as PyTorch saves by default. */
export function isPickle(name: string): boolean {
  return /\.(bin|pt|pth|ckpt|pkl|pickle)$/i.test(name);
}

/**
 * Which shard holds each tensor, from the text of an index file. Shards are plain names of safetensors files beside the
 * index, so that no index can refer to files outside its folder. Throws `CheckpointIndexError`.
 */
export function parseShardIndex(text: string, path: string): ReadonlyMap<string, string> {
  let index: unknown;
  try {
    index = parseJson(text);
  } catch {
    throw new CheckpointIndexError(path, "it is not JSON");
  }
  const weightMap = isObject(index) ? index["weight_map"] : undefined;
  if (!isObject(weightMap)) throw new CheckpointIndexError(path, "it has no weight_map");

  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !/^[\w][\w.-]*\.safetensors$/.test(shard)) {
      const given = typeof shard === "string" ? shown(shard) : typeof shard;
      throw new CheckpointIndexError(
        path,
        `the shard of tensor ${shown(tensor)} must be a safetensors file beside it, and is ${given}`,
      );
    }
    shardOf.set(tensor, shard);
  }
  if (shardOf.size === 0) throw new CheckpointIndexError(path, "its weight_map is empty");
  return shardOf;
}

async function openShards(folder: string): Promise<TensorSource> {
  const indexPath = join(folder, INDEX_FILE);
  const text = await readTextFile(indexPath, "checkpoint index").catch((cause) =>
    Promise.reject(new ModelFileError(indexPath, cause)),
  );
  const shardNameOf = parseShardIndex(text, indexPath);

  const shards = new Map<string, SafetensorsFile>();
  try {
    for (const name of new Set(shardNameOf.values())) shards.set(name, await openSafetensors(join(folder, name)));
    const shardOf = new Map<string, SafetensorsFile>();
    for (const [tensor, name] of shardNameOf) {
      const shard = shards.get(name);
      if (shard === undefined || !shard.tensors.has(tensor)) {
        throw new CheckpointIndexError(
          indexPath,
          `it says that ${name} holds tensor ${shown(tensor)}, and it does not`,
        );
      }
      shardOf.set(tensor, shard);
    }
    return new ShardedTensors(folder, shardOf);
  } catch (error) {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
    throw error;
  }
}

class ShardedTensors implements TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #shardOf: ReadonlyMap<string, SafetensorsFile>;

  constructor(folder: string, shardOf: ReadonlyMap<string, SafetensorsFile>) {
    const tensors = new Map<string, TensorInfo>();
    const metadata = new Map<string, string>();
    for (const [name, shard] of shardOf) {
      const info = shard.tensors.get(name);
      if (info !== undefined) tensors.set(name, info);
    }
    for (const shard of new Set(shardOf.values())) for (const [key, value] of shard.metadata) metadata.set(key, value);
    this.path = folder;
    this.tensors = tensors;
    this.metadata = metadata;
    this.#shardOf = shardOf;
  }

  async readFloat32(name: string, options?: { readonly requireFinite?: boolean }): Promise<Float32Array<ArrayBuffer>> {
    return await this.#shard(name).readFloat32(name, options);
  }

  async readStored(name: string): Promise<StoredValues> {
    return await this.#shard(name).readStored(name);
  }

  async readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#shard(name).readBytes(name);
  }

  async close(): Promise<void> {
    await Promise.all([...new Set(this.#shardOf.values())].map((shard) => shard.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #shard(name: string): SafetensorsFile {
    const shard = this.#shardOf.get(name);
    if (shard === undefined) throw new TensorNotFoundError(this.path, name, this.tensors);
    return shard;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
