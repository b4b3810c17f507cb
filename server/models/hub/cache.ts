import { copyFile, link, mkdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { INDEX_FILE, ModelFileError, parseShardIndex, WEIGHTS_FILE } from "../safetensors.ts";

/** A snapshot in the cache that holds a whole model. */
export interface CachedModel {
  readonly folder: string;
  readonly commit: string;
}

/**
 * One model's folder in the cache that all Hugging Face tools share: `blobs/<checksum>` hold the bytes,
 * `snapshots/<commit>/<file>` link to them, `refs/<branch or tag>` say which commit a name stands for.
 * Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export class ModelCache {
  readonly blobsFolder: string;
  readonly #folder: string;

  constructor(cacheFolder: string, id: string) {
    this.#folder = resolve(cacheFolder, `models--${id.replaceAll("/", "--")}`);
    this.blobsFolder = join(this.#folder, "blobs");
  }

  /** The snapshot of a branch, tag or commit, if config and weights are all there; undefined otherwise. */
  async find(revision: string): Promise<CachedModel | undefined> {
    const commit = isCommit(revision) ? revision : await this.#readRef(revision);
    if (commit === undefined) return undefined;
    const folder = this.snapshotFolder(commit);
    const complete = (await isFile(join(folder, "config.json"))) && (await hasWeights(folder));
    return complete ? { folder, commit } : undefined;
  }

  snapshotFolder(commit: string): string {
    return join(this.#folder, "snapshots", commit);
  }

  blobPath(etag: string): string {
    return join(this.blobsFolder, etag);
  }

  /** Whether the blob is there and as long as it should be. */
  async hasBlob(etag: string, bytes: number): Promise<boolean> {
    const found = await stat(this.blobPath(etag)).catch(() => undefined);
    return found?.isFile() === true && found.size === bytes;
  }

  /**
   * Makes a blob appear under its name in a snapshot: as a link, or as a copy where links are not allowed.
   * Throws `ModelFileError`.
   */
  async link(commit: string, file: string, etag: string): Promise<void> {
    const pointer = join(this.snapshotFolder(commit), file);
    const blob = this.blobPath(etag);
    if (await sameFile(pointer, blob)) return;
    try {
      await mkdir(dirname(pointer), { recursive: true });
      // A link may lead to nothing, or to a blob that was replaced.
      await rm(pointer, { force: true });
      await symlink(relative(dirname(pointer), blob), pointer);
    } catch (cause) {
      // Another process was faster, or this is Windows without the right to make symbolic links.
      if (await sameFile(pointer, blob)) return;
      await link(blob, pointer).catch(() => copyFile(blob, pointer).catch(() => undefined));
      if (!(await isFile(pointer))) throw new ModelFileError(pointer, cause);
    }
  }

  /** Says which commit a branch or tag stands for. Throws `ModelFileError` and what `writeFileAtomically` throws. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const path = join(this.#folder, "refs", revision);
    await mkdir(dirname(path), { recursive: true }).catch((cause) => Promise.reject(new ModelFileError(path, cause)));
    await writeFileAtomically(path, commit);
  }

  async #readRef(revision: string): Promise<string | undefined> {
    const text = await readFile(join(this.#folder, "refs", revision), "utf8").catch(() => "");
    return isCommit(text.trim()) ? text.trim() : undefined;
  }
}

/** Whether a revision is a full commit hash, whose files never change. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

async function hasWeights(folder: string): Promise<boolean> {
  if (await isFile(join(folder, WEIGHTS_FILE))) return true;
  const index = await readFile(join(folder, INDEX_FILE), "utf8").catch(() => undefined);
  if (index === undefined) return false;
  try {
    const shards = new Set(parseShardIndex(index, join(folder, INDEX_FILE)).values());
    const there = await Promise.all([...shards].map((shard) => isFile(join(folder, shard))));
    return there.every(Boolean);
  } catch {
    return false;
  }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true;
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([a, b].map((path) => stat(path, { bigint: true }).catch(() => undefined)));
  return first !== undefined && second !== undefined && first.ino === second.ino && first.dev === second.dev;
}
