import type { BigIntStats } from "node:fs";
import { mkdir, readdir, realpath, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { tryJson } from "../common/json.ts";
import { stateFolder } from "../common/state-folder.ts";
import { type Checksum, checksumOf, sha256Of, textIfThere } from "./files.ts";

/** Smaller files bypass the cache: reading them takes no longer than looking them up. */
const LEAST_BYTES = 1 << 20;
const MOST_ENTRIES = 512;
/** No entry takes this long to write. */
const ABANDONED_MS = 3_600_000;
/** A file modified more recently than this could change again with the same time stamp, so its digest is not cached. */
const SETTLED_MS = 2_000;

/** A file's metadata. Anything that writes to the file, or replaces it, changes one of these. */
const Stamp = z.object({
  path: z.string(),
  size: z.string(),
  mtimeNs: z.string(),
  ctimeNs: z.string(),
  inode: z.string(),
  device: z.string(),
});
type Stamp = z.infer<typeof Stamp>;

/** `seal` is the digest of the rest; an entry with a flipped bit is ignored. */
const Entry = z.object({ stamp: Stamp, sha256: z.string().regex(/^[0-9a-f]{64}$/), seal: z.string() });

export interface DigestCacheOptions {
  /** Folder above `digests`, which holds one file per entry; the user's own state folder by default. */
  readonly stateFolder?: string;
  readonly now?: () => number;
}

/**
 * Size and SHA-256 of a file, from the cache if path, inode, size and times have not changed. The start of a run then
 * need not read checkpoints of gigabytes. Any number of processes may read and fill the cache at once; an entry that
 * cannot be read, written or verified is recomputed. Throws what `checksumOf` throws.
 */
export async function cachedChecksumOf(path: string, options: DigestCacheOptions = {}): Promise<Checksum> {
  const before = await stat(path, { bigint: true });
  if (before.size < LEAST_BYTES) return checksumOf(path);
  const folder = join(options.stateFolder ?? stateFolder(), "digests");
  const stamp = stampOf(await realpath(path), before);
  const file = join(folder, `${sha256Of(stamp.path).slice(0, 32)}.json`);
  const known = await readEntry(file, stamp);
  if (known !== undefined) return { size: Number(before.size), sha256: known };
  const checksum = await checksumOf(path);
  const after = stampOf(await realpath(path), await stat(path, { bigint: true }));
  if (isSame(stamp, after) && isSettled(before, (options.now ?? Date.now)())) {
    // A cache that cannot be written costs only time.
    await writeEntry(folder, file, stamp, checksum.sha256).catch(() => undefined);
  }
  return checksum;
}

function stampOf(path: string, { size, mtimeNs, ctimeNs, ino, dev }: BigIntStats): Stamp {
  const [sizeText, mtime, ctime, inode, device] = [size, mtimeNs, ctimeNs, ino, dev].map(String);
  return Stamp.parse({ path, size: sizeText, mtimeNs: mtime, ctimeNs: ctime, inode, device });
}

function isSame(a: Stamp, b: Stamp): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isSettled({ mtimeMs, ctimeMs }: BigIntStats, nowMs: number): boolean {
  return nowMs - Math.max(Number(mtimeMs), Number(ctimeMs)) > SETTLED_MS;
}

async function readEntry(file: string, stamp: Stamp): Promise<string | undefined> {
  const text = await textIfThere(file, "record").catch(() => undefined);
  const entry = Entry.safeParse(tryJson(text ?? "null")).data;
  if (entry === undefined || entry.seal !== sealOf(entry.stamp, entry.sha256)) return undefined;
  return isSame(Stamp.parse(entry.stamp), stamp) ? entry.sha256 : undefined;
}

async function writeEntry(folder: string, file: string, stamp: Stamp, sha256: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFileAtomically(file, JSON.stringify({ stamp, sha256, seal: sealOf(stamp, sha256) }));
  await dropOldest(folder);
}

function sealOf(stamp: Stamp, sha256: string): string {
  return sha256Of(JSON.stringify([stamp, sha256]));
}

/**
 * Evicts the entries written longest ago, down to `MOST_ENTRIES`. A temporary file counts once it has its name; one that a
 * killed process left is removed.
 */
async function dropOldest(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (names.length <= MOST_ENTRIES) return;
  const files = await Promise.all(
    names.map(async (name) => {
      const found = await stat(join(folder, name)).catch(() => undefined);
      return { name, mtimeMs: found?.mtimeMs ?? 0, isEntry: name.endsWith(".json") };
    }),
  );
  const entries = files.filter(({ isEntry }) => isEntry).toSorted((a, b) => b.mtimeMs - a.mtimeMs);
  const abandoned = files.filter(({ isEntry, mtimeMs }) => !isEntry && Date.now() - mtimeMs > ABANDONED_MS);
  for (const { name } of [...entries.slice(MOST_ENTRIES), ...abandoned]) await rm(join(folder, name), { force: true });
}
