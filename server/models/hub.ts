import { readFile, stat, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { downloadBlob } from "./hub/blob.ts";
import { type CachedModel, isCommit, ModelCache } from "./hub/cache.ts";
import { HubClient, type Patience, type RemoteFile } from "./hub/client.ts";
import { DiskTooSmallError, HubUnreachableError, ModelNotCachedError, ModelReferenceError } from "./hub/errors.ts";
import { type Environment, type HubSettings, hubSettings } from "./hub/settings.ts";
import {
  CheckpointIndexError,
  INDEX_FILE,
  isPickle,
  ModelFileError,
  NoWeightsError,
  PickleRefusedError,
  parseShardIndex,
  WEIGHTS_FILE,
} from "./safetensors.ts";

/** A model that lies in a folder on this machine. */
export interface ResolvedModel {
  /** Absolute; holds config.json, the tokenizer and the weights. */
  readonly folder: string;
  /** Whether the folder was given, found in the cache, or filled by a download just now. */
  readonly source: "folder" | "cache" | "download";
  /** The hub id, such as `EleutherAI/pythia-70m`; absent for a folder. */
  readonly id?: string;
  /** The exact commit on the hub; absent for a folder. */
  readonly commit?: string;
}

/** How far a download is; `bytes` falls back when a damaged file is fetched anew. */
export interface DownloadProgress {
  /** The file that is on its way. */
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface ResolveOptions {
  /** Whether what is not in the cache may be fetched from the hub; nothing is otherwise. */
  readonly download: boolean;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** Instead of the built-in one, such as for a proxy. */
  readonly fetch?: typeof fetch;
  /** Instead of `process.env`. */
  readonly env?: Environment;
  readonly patience?: Patience;
}

/**
 * Finds the model that a reference names: a folder, or a hub id `owner/name[@revision]`, where a revision is a branch, a
 * tag or a commit (`main` if none is given). A folder of that name comes before the hub.
 *
 * Hub models live in the cache shared with all Hugging Face tools. Without `download` no request is made. With it, the
 * hub is asked for the revision's newest commit and what is missing is fetched: config, tokenizer and safetensors, never
 * pickles, each resumed where an earlier try stopped and checked against the hub's checksum. With the network off, what
 * the cache holds is used.
 *
 * Throws `ModelReferenceError`, `ModelFileError`, `ModelNotCachedError`, `PickleRefusedError`, `NoWeightsError`,
 * `CheckpointIndexError`, `DiskTooSmallError` and the errors of `hub/errors.ts`.
 */
export async function resolveModel(reference: string, options: ResolveOptions): Promise<ResolvedModel> {
  const path = reference.startsWith("~/") ? join(homedir(), reference.slice(2)) : reference;
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return { folder: resolve(path), source: "folder" };
  if (found) throw new ModelReferenceError(reference, "it is a file");
  if (/^[./~]|\\|^[a-z]:/i.test(reference)) {
    throw new ModelFileError(resolve(path), Object.assign(new Error("no such folder"), { code: "ENOENT" }));
  }

  const { id, revision } = parseHubReference(reference);
  const settings = await hubSettings(options.env);
  const cache = new ModelCache(settings.cacheFolder, id);
  const cached = await cache.find(revision);
  const fromCache = (model: CachedModel): ResolvedModel => ({ ...model, id, source: "cache" });
  if (!options.download || settings.offline) {
    if (cached) return fromCache(cached);
    throw new ModelNotCachedError(id, revision, settings.cacheFolder, remedyFor(options, settings));
  }
  // A commit never changes; the tokenizer is looked for because other tools fetch weights without it.
  if (cached && isCommit(revision) && (await stat(join(cached.folder, "tokenizer.json")).catch(() => undefined))) {
    return fromCache(cached);
  }

  let commit: string;
  try {
    // Someone who has the model and is offline should not wait long to be told so.
    const patience = cached ? HASTE : options.patience;
    commit = await new HubClient(settings, { ...options, patience }).commitOf(id, revision);
  } catch (error) {
    if (cached && error instanceof HubUnreachableError) return fromCache(cached);
    throw error;
  }
  const client = new HubClient(settings, options);
  const fetched = await fetchSnapshot(client, cache, id, commit, options.onProgress ?? (() => undefined));
  await cache.writeRef(revision, commit);
  return { folder: cache.snapshotFolder(commit), commit, id, source: fetched ? "download" : "cache" };
}

const HASTE: Patience = { retries: 0, retryDelayMs: 0, silenceMs: 10_000 };

/** Splits `owner/name[@revision]`. Throws `ModelReferenceError`. */
export function parseHubReference(reference: string): { readonly id: string; readonly revision: string } {
  const [id = "", revision = "main", ...more] = reference.split("@");
  const part = /^[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;
  const parts = id.split("/");
  if (parts.length !== 2 || !parts.every((name) => part.test(name)) || /--|\.\./.test(id)) {
    throw new ModelReferenceError(reference, "there is no such folder, and it is no hub id (owner/name)");
  }
  if (more.length > 0 || !/^\w[\w./-]{0,199}$/.test(revision) || /\.\.|\/\/|\/$/.test(revision)) {
    throw new ModelReferenceError(reference, "what follows @ is no branch, tag or commit");
  }
  return { id, revision };
}

/** The files beside the weights that are needed to run a model. */
const SMALL_FILES = /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map)\.json$/;

/** Brings all needed files of a commit into the cache. Returns whether anything had to be fetched. */
async function fetchSnapshot(
  client: HubClient,
  cache: ModelCache,
  id: string,
  commit: string,
  onProgress: (progress: DownloadProgress) => void,
): Promise<boolean> {
  const listed = await client.files(id, commit);
  const listedByPath = new Map(listed.map((file) => [file.path, file]));
  const small = listed.filter(({ path }) => SMALL_FILES.test(path));
  const [weights, index] = [listedByPath.get(WEIGHTS_FILE), listedByPath.get(INDEX_FILE)];
  if (!listedByPath.has("config.json")) throw new NoWeightsError(id, [...listedByPath.keys()]);

  // Weights come last, so that a snapshot that has its weights has everything.
  if (weights) return await fetchFiles(client, cache, id, commit, [...small, weights], onProgress);
  if (index) {
    const early = await fetchFiles(client, cache, id, commit, [...small, index], onProgress);
    const shards = await listedShards(id, cache.blobPath(index.etag), listedByPath);
    const late = await fetchFiles(client, cache, id, commit, shards, onProgress);
    return early || late;
  }
  const pickles = [...listedByPath.keys()].filter(isPickle);
  throw pickles.length > 0 ? new PickleRefusedError(id, pickles) : new NoWeightsError(id, [...listedByPath.keys()]);
}

async function listedShards(
  id: string,
  indexPath: string,
  listedByPath: ReadonlyMap<string, RemoteFile>,
): Promise<readonly RemoteFile[]> {
  const text = await readFile(indexPath, "utf8").catch((cause) => Promise.reject(new ModelFileError(indexPath, cause)));
  const name = `${id}/${INDEX_FILE}`;
  return [...new Set(parseShardIndex(text, name).values())].map((shard) => {
    const file = listedByPath.get(shard);
    if (file === undefined) throw new CheckpointIndexError(name, `the model has no file ${shard}`);
    return file;
  });
}

/** Returns whether anything had to be fetched. */
async function fetchFiles(
  client: HubClient,
  cache: ModelCache,
  id: string,
  commit: string,
  files: readonly RemoteFile[],
  onProgress: (progress: DownloadProgress) => void,
): Promise<boolean> {
  const missing: RemoteFile[] = [];
  for (const file of files) if (!(await cache.hasBlob(file.etag, file.bytes))) missing.push(file);
  const totalBytes = missing.reduce((sum, { bytes }) => sum + bytes, 0);
  await checkSpace(cache.blobsFolder, totalBytes);

  let doneBytes = 0;
  for (const file of files) {
    if (missing.includes(file)) {
      const onBytes = (bytes: number) => onProgress({ file: file.path, bytes: doneBytes + bytes, totalBytes });
      await downloadBlob(client, client.fileUrl(id, commit, file.path), file, cache.blobPath(file.etag), onBytes);
      doneBytes += file.bytes;
    }
    await cache.link(commit, file.path, file.etag);
  }
  return missing.length > 0;
}

/** The nearest folder above that exists says how much room there is; a file system that does not say has enough. */
async function checkSpace(folder: string, neededBytes: number): Promise<void> {
  const parent = resolve(folder, "..");
  const found = await statfs(folder).catch(() => undefined);
  if (found === undefined) return parent === folder ? undefined : await checkSpace(parent, neededBytes);
  const freeBytes = found.bavail * found.bsize;
  if (freeBytes < neededBytes) throw new DiskTooSmallError(folder, neededBytes, freeBytes);
}

function remedyFor({ download }: ResolveOptions, { offline }: HubSettings): string {
  if (offline && download) return "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set: unset it to download the model.";
  return "Allow the download (--download), or give a folder that holds the model.";
}
