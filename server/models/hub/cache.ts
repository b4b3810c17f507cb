import { copyFile, link, mkdir, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { readTextFile } from "../../common/text-file.ts";
import { ModelFileError } from "../safetensors.ts";
import type { Repository } from "./repository.ts";

/**
 * One repository's folder in the cache that all Hugging Face tools share: `blobs/<checksum>` hold the bytes,
 * `snapshots/<commit>/<file>` link to them, `refs/<branch or tag>` hold the commit that a name points to.
 * Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export class HubCache {
  readonly blobsFolder: string;
  readonly #folder: string;

  constructor(cacheFolder: string, { kind, id }: Repository) {
    this.#folder = resolve(cacheFolder, `${kind}s--${id.replaceAll("/", "--")}`);
    this.blobsFolder = join(this.#folder, "blobs");
  }

  /** The cached commit of a branch, tag or commit; undefined if it was never resolved. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await readTextFile(join(this.#folder, "refs", revision), "record").catch(() => "");
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  snapshotFolder(commit: string): string {
    return join(this.#folder, "snapshots", commit);
  }

  /** Path of our own notes on a commit, where other tools do not look. */
  notePath(commit: string): string {
    return join(this.#folder, ".lfp", `${commit}.json`);
  }

  blobPath(etag: string): string {
    return join(this.blobsFolder, etag);
  }

  /** Whether the blob exists with the expected length. */
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
      // A link may be dangling, or point to a replaced blob.
      await rm(pointer, { force: true });
      await symlink(relative(dirname(pointer), blob), pointer);
    } catch (cause) {
      // Another process was faster, or this is Windows without the right to make symbolic links.
      if (await sameFile(pointer, blob)) return;
      await link(blob, pointer).catch(() => copyFile(blob, pointer).catch(() => undefined));
      if (!(await isFile(pointer))) throw new ModelFileError(pointer, cause);
    }
  }

  /** Records the commit of a branch or tag. Throws `ModelFileError` and what `writeFileAtomically` throws. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const path = join(this.#folder, "refs", revision);
    await mkdir(dirname(path), { recursive: true }).catch((cause) => Promise.reject(new ModelFileError(path, cause)));
    await writeFileAtomically(path, commit);
  }
}

/** The model and commit whose snapshot in a cache this folder is; undefined for any other folder. */
export function hubReferenceOf(folder: string): { readonly id: string; readonly commit: string } | undefined {
  const [name, snapshots, commit] = resolve(folder).split(sep).slice(-3);
  const found = /^models--(.+)$/.exec(name ?? "");
  if (found?.[1] === undefined || snapshots !== "snapshots" || commit === undefined || !isCommit(commit))
    return undefined;
  return { id: found[1].replace("--", "/"), commit };
}

/** Whether a revision is a full commit hash, whose files never change. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Whether a path is a file, or a link to one. */
export async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true;
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([a, b].map((path) => stat(path, { bigint: true }).catch(() => undefined)));
  return first !== undefined && second !== undefined && first.ino === second.ino && first.dev === second.dev;
}
