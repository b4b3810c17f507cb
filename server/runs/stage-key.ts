import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { canonicalDigest } from "./canonical-json.ts";
import { cachedChecksumOf, type DigestCacheOptions } from "./digest-cache.ts";
import { type Checksum, listFiles } from "./files.ts";
import type { OutsideInput } from "./stage.ts";

/** Everything that an output depends on. Equal identities mean equal outputs. */
export interface StageIdentity {
  readonly stage: string;
  readonly codeVersion: number;
  readonly settings: unknown;
  /** Content digest of each input. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly seed: number;
  /** The device class, as far as it changes the numbers: `cpu`, `webgpu:nvidia-h200` ... */
  readonly deviceClass: string;
}

/** The stage's key: SHA-256 of the identity's canonical JSON, 64 hexadecimal digits. */
export function stageKey(identity: StageIdentity): string {
  const { stage, codeVersion, settings, inputs, seed, deviceClass } = identity;
  return canonicalDigest({ stage, codeVersion, settings, inputs, seed, deviceClass });
}

/** Digest of a folder's contents: of the sorted list of relative paths, sizes and SHA-256. */
export function contentDigest(checksums: readonly ({ readonly path: string } & Checksum)[]): string {
  return canonicalDigest(checksums.map(({ path, size, sha256 }) => ({ path, size, sha256 })));
}

export interface OutsideOptions extends DigestCacheOptions {
  /** Filter on the paths inside a folder: which files enter the digest; all by default. Other files may come and go. */
  readonly counts?: (path: string) => boolean;
  /** Aborting it stops the reading between two files. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * An outside input with the content digest of the file or folder at `path`. Reads every file that counts, following
 * links to files, except large files that have not changed since an earlier reading (`cachedChecksumOf`). Throws the
 * system's errors.
 */
export async function outsideInput(
  path: string,
  { counts, signal, ...cache }: OutsideOptions = {},
): Promise<OutsideInput> {
  const isFolder = (await stat(path)).isDirectory();
  const names = isFolder ? await listFiles(path, "followed", counts) : [""];
  const checksums = [];
  for (const name of names) {
    signal?.throwIfAborted();
    checksums.push({ path: isFolder ? name : basename(path), ...(await cachedChecksumOf(join(path, name), cache)) });
  }
  return { path, digest: contentDigest(checksums) };
}
