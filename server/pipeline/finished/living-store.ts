/** Finds the writable feature store of a run. */

import { createHash } from "node:crypto";
import { mkdir, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { starterRunFolder } from "../../common/package-root.ts";
import { stateFolder } from "../../common/state-folder.ts";
import { readWholeFile } from "../../common/text-file.ts";
import type { EarlierStore } from "../../protocol/features.ts";
import { textIfThere, unlessMissing } from "../../runs/files.ts";

const STORE = "features.sqlite";
const EARLIER = "earlier.json";

/**
 * Path of a run's `features.sqlite`, which need not exist. The bundled run may be in a read-only folder, and user notes
 * must survive an update; so its store is copied to the user's state folder on first use, one copy per version. Users'
 * additions to the copies of other versions are carried over where they concern the same features; `earlierStores`
 * lists the rest.
 */
export async function livingStore(runFolder: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const own = join(runFolder, STORE);
  if (resolve(runFolder) !== starterRunFolder()) return own;
  const found = await unlessMissing(stat(own));
  if (found === undefined) return own;
  const version = await versionOf(own, `${found.size} ${found.mtimeMs}`);
  const root = copiesFolder(env);
  const folder = join(root, version);
  const copy = join(folder, STORE);
  // A rename created it, so it is complete.
  if ((await unlessMissing(stat(copy))) === undefined) {
    await mkdir(folder, { recursive: true });
    await writeFileAtomically(copy, await readWholeFile(own, "store"));
  }
  await takeOver(root, version);
  return copy;
}

/**
 * Path of the store to read a run's features from, which need not exist: as `livingStore`, but copies nothing, so the
 * bundled run's own store is read until there is a copy.
 */
export async function storeToRead(runFolder: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const own = join(runFolder, STORE);
  if (resolve(runFolder) !== starterRunFolder()) return own;
  const found = await unlessMissing(stat(own));
  if (found === undefined) return own;
  const copy = join(copiesFolder(env), await versionOf(own, `${found.size} ${found.mtimeMs}`), STORE);
  return (await unlessMissing(stat(copy))) === undefined ? own : copy;
}

function copiesFolder(env: NodeJS.ProcessEnv): string {
  return join(stateFolder(env), "starter-run");
}

/** Earlier stores with user data that the store at `path` lacks. */
export async function earlierStores(path: string): Promise<EarlierStore[]> {
  const { stores } = await readKnown(join(path, "..", EARLIER));
  return Object.entries(stores)
    .map(([version, { left, problem }]) => ({ path: join(path, "..", "..", version, STORE), left, problem }))
    .filter(({ left, problem }) => problem !== null || Object.values(left).some((count) => count > 0));
}

/** What was carried over from other versions so far; saved beside a copy. */
const knownSchema = z.object({
  format: z.literal(1),
  stores: z.record(
    z.string(),
    z.object({
      /** Stamp of the files when last examined; changed ones are examined again. */
      stamp: z.string(),
      /** Rows that were examined. */
      seen: z.array(z.string()),
      left: z.record(z.string(), z.int()),
      problem: z.string().nullable(),
    }),
  ),
});
type Known = z.infer<typeof knownSchema>;

/** Carries over new data from the copies of other versions. */
async function takeOver(root: string, version: string): Promise<void> {
  const file = join(root, version, EARLIER);
  const { stores } = await readKnown(file);
  const changed: Known["stores"] = {};
  for (const other of (await readdir(root)).sort()) {
    if (other === version || !/^[0-9a-f]{16}$/.test(other)) continue;
    const path = join(root, other, STORE);
    const stamp = await stampOf(path);
    if (stamp !== undefined && stamp !== stores[other]?.stamp)
      changed[other] = await taken(join(root, version, STORE), path, stamp, stores[other]);
  }
  if (Object.keys(changed).length === 0) return;
  const known: Known = { format: 1, stores: { ...stores, ...changed } };
  await writeFileAtomically(file, `${JSON.stringify(known, undefined, 2)}\n`);
}

async function taken(
  copy: string,
  path: string,
  stamp: string,
  before: Known["stores"][string] | undefined,
): Promise<Known["stores"][string]> {
  const seen = new Set(before?.seen);
  const { FeatureStore } = await import("../../store/store.ts");
  using store = FeatureStore.open(copy);
  try {
    const found = store.carryOver({ path, seen });
    for (const key of found.seen) seen.add(key);
    const left = Object.fromEntries(
      Object.entries(found.left).map(([kind, count]) => [kind, count + (before?.left[kind] ?? 0)]),
    );
    const problem =
      found.damaged === 0 ? null : `${found.damaged} of its rows are damaged, and what they say is not taken over`;
    return { stamp, seen: [...seen], left, problem };
  } catch (error) {
    return { stamp, seen: [...seen], left: before?.left ?? {}, problem: messageOf(error) };
  }
}

/**
 * A stamp that changes with every write to the store; undefined if it is missing. Ignores an empty write-ahead log,
 * which a reader may leave behind.
 */
async function stampOf(path: string): Promise<string | undefined> {
  const [store, log] = [await unlessMissing(stat(path)), await unlessMissing(stat(`${path}-wal`))];
  if (store === undefined) return undefined;
  return [store, log]
    .map((file) => (file === undefined || file.size === 0 ? "" : `${file.size} ${file.mtimeMs}`))
    .join("; ");
}

/** Empty if the file is missing or invalid: then everything is examined again, and existing rows stay. */
async function readKnown(file: string): Promise<Known> {
  const text = await textIfThere(file, "record");
  try {
    return knownSchema.parse(parseJson(text ?? ""));
  } catch {
    return { format: 1, stores: {} };
  }
}

/**
 * Cache of versions by size and time of the bundled file, which every query about a feature would otherwise read whole.
 */
const versions = new Map<string, string>();

async function versionOf(path: string, stamp: string): Promise<string> {
  const known = versions.get(stamp);
  if (known !== undefined) return known;
  const version = createHash("sha256")
    .update(await readWholeFile(path, "store"))
    .digest("hex")
    .slice(0, 16);
  versions.set(stamp, version);
  return version;
}
