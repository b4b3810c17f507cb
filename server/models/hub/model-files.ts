/** Which files of a repository form a model. */

import { join } from "node:path";
import { z } from "zod";
import { tryJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from "../adapter-config.ts";
import {
  CHAT_TEMPLATE_FOLDER,
  hasOnnxFile,
  isChatTemplateFile,
  isOnnxFile,
  ONNX_FILE,
  ONNX_FOLDER,
} from "../model-files.ts";
import {
  CheckpointIndexError,
  INDEX_FILE,
  isPickle,
  ModelFileError,
  NoWeightsError,
  PickleRefusedError,
  parseShardIndex,
  WEIGHTS_FILE,
} from "../safetensors.ts";
import { isFile } from "./cache.ts";
import type { RemoteFile } from "./client.ts";
import type { SnapshotFetcher } from "./snapshot.ts";

export interface Weights {
  /**
   * Given for a classifier, which may be stored as onnx/model.onnx: whether safetensors are read in its place, where
   * there are some, by `model_type`.
   */
  readonly onnxUnless?: ((modelType: unknown) => boolean) | undefined;
}

/** The files beside the weights that are needed to run a model. */
const SMALL_FILES = /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|adapter_config)\.json$/;

/**
 * Whether a folder has the config and all weights, of a model or of adapters; with `onnxUnless`, weights may be ONNX. Before
 * a download, safetensors of a classifier of another type do not count: there may be an ONNX file to read instead.
 */
export async function isWholeModel(
  folder: string,
  { onnxUnless, download = false }: Weights & { readonly download?: boolean } = {},
): Promise<boolean> {
  const config = join(folder, "config.json");
  if (await isFile(config)) {
    if (onnxUnless !== undefined && (await hasOnnxFile(folder))) return true;
    const isRead = onnxUnless === undefined || !download || onnxUnless(await modelTypeIn(config));
    return isRead && (await hasWeights(folder));
  }
  return (await isFile(join(folder, ADAPTER_CONFIG_FILE))) && (await isFile(join(folder, ADAPTER_WEIGHTS_FILE)));
}

/**
 * Fetches config, tokenizer and safetensors of a model or of adapters into the cache, never pickles; with `onnxUnless`,
 * the ONNX file in place of safetensors that are missing or would not be read. Throws `NoWeightsError`, `PickleRefusedError`, `CheckpointIndexError` and what fetching throws.
 */
export async function fetchModel(id: string, snapshot: SnapshotFetcher, { onnxUnless }: Weights = {}): Promise<void> {
  const inFolders = [CHAT_TEMPLATE_FOLDER, ...(onnxUnless === undefined ? [] : [ONNX_FOLDER])];
  const listed = await snapshot.client.files(snapshot.commit, { recursive: false, inFolders });
  const listedByPath = new Map(listed.map((file) => [file.path, file]));
  const small = listed.filter(({ path }) => SMALL_FILES.test(path) || isChatTemplateFile(path));
  const isModel = listedByPath.has("config.json");
  if (!isModel && !listedByPath.has(ADAPTER_CONFIG_FILE)) throw new NoWeightsError(id, [...listedByPath.keys()]);
  const weights = listedByPath.get(isModel ? WEIGHTS_FILE : ADAPTER_WEIGHTS_FILE);
  const index = isModel ? listedByPath.get(INDEX_FILE) : undefined;
  const graph = onnxUnless === undefined ? undefined : listedByPath.get(ONNX_FILE);
  const config = listedByPath.get("config.json");

  // Weights come last, so that a snapshot that has its weights has everything.
  if (graph && !((weights ?? index) && config && onnxUnless?.(await listedModelType(snapshot, config))))
    return await snapshot.fetch([...small, ...listed.filter((file) => isOnnxFile(file.path) && file !== graph), graph]);
  if (weights) return await snapshot.fetch([...small, weights]);
  if (index) {
    await snapshot.fetch([...small, index]);
    return await snapshot.fetch(await listedShards(id, snapshot.cache.blobPath(index.etag), listedByPath));
  }
  const pickles = [...listedByPath.keys()].filter(isPickle);
  throw pickles.length > 0 ? new PickleRefusedError(id, pickles) : new NoWeightsError(id, [...listedByPath.keys()]);
}

async function listedModelType(snapshot: SnapshotFetcher, config: RemoteFile): Promise<unknown> {
  await snapshot.fetch([config]);
  return await modelTypeIn(snapshot.cache.blobPath(config.etag));
}

/** The `model_type` of a config.json; undefined where it cannot be read. */
async function modelTypeIn(path: string): Promise<unknown> {
  const text = await readTextFile(path, "config").catch(() => "");
  return z.looseObject({ model_type: z.unknown() }).safeParse(tryJson(text)).data?.model_type;
}

async function hasWeights(folder: string): Promise<boolean> {
  if (await isFile(join(folder, WEIGHTS_FILE))) return true;
  const index = await readTextFile(join(folder, INDEX_FILE), "checkpoint index").catch(() => undefined);
  if (index === undefined) return false;
  try {
    const shards = new Set(parseShardIndex(index, join(folder, INDEX_FILE)).values());
    const there = await Promise.all([...shards].map((shard) => isFile(join(folder, shard))));
    return there.every(Boolean);
  } catch {
    return false;
  }
}

async function listedShards(
  id: string,
  indexPath: string,
  listedByPath: ReadonlyMap<string, RemoteFile>,
): Promise<readonly RemoteFile[]> {
  const text = await readTextFile(indexPath, "checkpoint index").catch((cause) =>
    Promise.reject(new ModelFileError(indexPath, cause)),
  );
  const name = `${id}/${INDEX_FILE}`;
  return [...new Set(parseShardIndex(text, name).values())].map((shard) => {
    const file = listedByPath.get(shard);
    if (file === undefined) throw new CheckpointIndexError(name, `the model has no file ${shard}`);
    return file;
  });
}
