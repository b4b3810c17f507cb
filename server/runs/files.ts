import { createHash } from "node:crypto";
import * as nodeFs from "node:fs";
import * as nodeFiles from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AtomicFileSystem } from "../common/atomic-file.ts";
import { LfpError } from "../common/errors.ts";
import { byCodeUnit } from "../common/order.ts";
import { errnoOf, StorageError } from "../common/system-errors.ts";
import { type FileKind, openRegular, readTextFile, WholeFileError } from "../common/text-file.ts";

/**
 * Every call by which the run machinery changes the disk, so that a test can make any of them fail, stop short or kill.
 */
export type FileSystem = AtomicFileSystem &
  Pick<typeof nodeFiles, "mkdir" | "rm" | "link" | "copyFile"> &
  Pick<typeof nodeFs, "openSync" | "writeSync" | "ftruncateSync" | "fsyncSync" | "closeSync">;

/** The real file system. */
export const disk: FileSystem = {
  open: nodeFiles.open,
  rename: nodeFiles.rename,
  stat: nodeFiles.stat,
  unlink: nodeFiles.unlink,
  mkdir: nodeFiles.mkdir,
  rm: nodeFiles.rm,
  link: nodeFiles.link,
  copyFile: nodeFiles.copyFile,
  openSync: nodeFs.openSync,
  writeSync: nodeFs.writeSync,
  ftruncateSync: nodeFs.ftruncateSync,
  fsyncSync: nodeFs.fsyncSync,
  closeSync: nodeFs.closeSync,
};

export { errnoOf, StorageError };

/** Returns `undefined` where the work fails because a file or folder does not exist. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** A file's text; `undefined` if the file is missing, and empty if it cannot be a text file of ours. */
export async function textIfThere(path: string, kind: FileKind): Promise<string | undefined> {
  return await unlessMissing(
    readTextFile(path, kind).catch((error: unknown) => {
      if (error instanceof WholeFileError) return "";
      throw error;
    }),
  );
}

/**
 * Creates a folder and its parents. Node's recursive `mkdir` never returns where a parent is missing and the system
 * refuses to create it, as below /proc. Throws the system's errors.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeInParent(path);
  } catch (error) {
    const parent = dirname(path);
    if (errnoOf(error) !== "ENOENT" || parent === path) throw error;
    // If the parent exists, another process created it meanwhile, or the system rejects the folder: the second attempt
    // shows which.
    if ((await unlessMissing(nodeFiles.stat(parent))) === undefined) await makeFolder(parent);
    await makeInParent(path);
  }
}

async function makeInParent(path: string): Promise<void> {
  try {
    await nodeFiles.mkdir(path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST" || !(await nodeFiles.stat(path)).isDirectory()) throw error;
  }
}

/** Removes a file or a folder with its contents; a missing one is no error. */
export async function remove(path: string, files: FileSystem): Promise<void> {
  await files.rm(path, { recursive: true, force: true });
}

/** Renames a file or folder durably: the rename survives a power cut. */
export async function moveDurably(from: string, to: string, files: FileSystem): Promise<void> {
  await files.rename(from, to);
  await sync(dirname(to), files);
}

/** Flushes every file and folder under `folder` to the disk. */
export async function syncTree(folder: string, files: FileSystem): Promise<void> {
  for (const path of await listFiles(folder)) await sync(join(folder, path), files);
  for (const path of await listFolders(folder)) await sync(join(folder, path), files);
}

/**
 * Paths of the files under `folder` for which `isWanted` is true, relative to it, with `/`, sorted by code unit. Links
 * to files are `refused`, or `followed`, which download caches need. Throws `UnusableFileError` for refused links,
 * links to folders and special files among the wanted paths.
 */
export async function listFiles(
  folder: string,
  links: "refused" | "followed" = "refused",
  isWanted: (path: string) => boolean = () => true,
): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await nodeFiles.readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = relativePath(folder, entry);
    if (!isWanted(path)) continue;
    const isLinkToUse = links === "followed" && entry.isSymbolicLink();
    const kind = isLinkToUse ? await nodeFiles.stat(join(folder, path)) : entry;
    if (kind.isFile()) found.push(path);
    else if (!entry.isDirectory()) throw new UnusableFileError(path, folder);
  }
  return found.sort(byCodeUnit);
}

/** Size in bytes and SHA-256 of a file, read in pieces. */
export async function checksumOf(path: string): Promise<Checksum> {
  const hash = createHash("sha256");
  let size = 0;
  await using handle = await openRegular(path);
  for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 20, autoClose: false })) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: hash.digest("hex") };
}

export interface Checksum {
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** SHA-256 of a text or of bytes, hexadecimal. */
export function sha256Of(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** An entry of a folder is neither a file nor a folder. */
export class UnusableFileError extends LfpError {
  readonly code = "input";

  constructor(path: string, folder: string) {
    super(`${path} in ${folder} is a link or a special file; expected plain files and folders only. Remove it.`);
  }
}

/** Flushes one file or folder. Windows has no flush for folders, and some network file systems have none either. */
async function sync(path: string, files: FileSystem): Promise<void> {
  const isFolder = (await files.stat(path)).isDirectory();
  if (isFolder && process.platform === "win32") return;
  // Windows flushes only handles that are open for writing.
  const handle = await files.open(path, isFolder ? "r" : "r+");
  try {
    await handle.sync();
  } catch (error) {
    if (!isFolder || !["EINVAL", "ENOTSUP", "ENOSYS"].includes(errnoOf(error) ?? "")) throw error;
  } finally {
    await handle.close();
  }
}

/** Deepest first, `folder` itself last. */
async function listFolders(folder: string): Promise<string[]> {
  const entries = await nodeFiles.readdir(folder, { recursive: true, withFileTypes: true });
  const found = entries.filter((entry) => entry.isDirectory()).map((entry) => relativePath(folder, entry));
  return [...found.sort(byCodeUnit).reverse(), "."];
}

function relativePath(folder: string, entry: nodeFs.Dirent): string {
  return join(entry.parentPath, entry.name).slice(join(folder, ".").length).replaceAll("\\", "/").replace(/^\/+/, "");
}
