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
  /** What computes, as far as it changes the numbers: `cpu`, `webgpu:nvidia-h200` ... */
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
  /** Which files of a folder count, by their paths in it; all unless given. Others may come and go. */
  readonly counts?: (path: string) => boolean;
  /** Aborting it ends the reading between two files. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * An outside input with the digest of the file or folder at `path`. Reads what counts, files behind links too, unless it
 * is as large files were when they were read before (`cachedChecksumOf`). Throws the system's errors.
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
