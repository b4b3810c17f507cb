/** Where the feature store of a run is written to. */

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
 * Path of a run's `features.sqlite`, which need not be there. The run that comes with the program may stand where nobody can write, and no
 * one's notes belong into an installed program: its store is copied into the user's state folder at first use, one copy for each version of it.
 * What people wrote on the copies of other versions is taken over where it is about the same features; `earlierStores` says what is not.
 */
export async function livingStore(runFolder: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const own = join(runFolder, STORE);
  if (resolve(runFolder) !== starterRunFolder()) return own;
  const found = await unlessMissing(stat(own));
  if (found === undefined) return own;
  const version = await versionOf(own, `${found.size} ${found.mtimeMs}`);
  const root = join(stateFolder(env), "starter-run");
  const folder = join(root, version);
  const copy = join(folder, STORE);
  // It was put there by rename, so it is whole.
  if ((await unlessMissing(stat(copy))) === undefined) {
    await mkdir(folder, { recursive: true });
    await writeFileAtomically(copy, await readWholeFile(own, "store"));
  }
  await takeOver(root, version);
  return copy;
}

/** Stores that hold something of people's which the store at `path` does not have. */
export async function earlierStores(path: string): Promise<EarlierStore[]> {
  const { stores } = await readKnown(join(path, "..", EARLIER));
  return Object.entries(stores)
    .map(([version, { left, problem }]) => ({ path: join(path, "..", "..", version, STORE), left, problem }))
    .filter(({ left, problem }) => problem !== null || Object.values(left).some((count) => count > 0));
}

/** What was taken from other versions so far, as it stands beside a copy. */
const knownSchema = z.object({
  format: z.literal(1),
  stores: z.record(
    z.string(),
    z.object({
      /** Of the files as they were looked at; others are looked at again. */
      stamp: z.string(),
      /** Rows that were looked at. */
      seen: z.array(z.string()),
      left: z.record(z.string(), z.int()),
      problem: z.string().nullable(),
    }),
  ),
});
type Known = z.infer<typeof knownSchema>;

/** Takes over what is new on the copies of other versions. */
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

/** Changes with every write to the store; undefined where there is none. A reader may leave an empty log behind. */
async function stampOf(path: string): Promise<string | undefined> {
  const [store, log] = [await unlessMissing(stat(path)), await unlessMissing(stat(`${path}-wal`))];
  if (store === undefined) return undefined;
  return [store, log]
    .map((file) => (file === undefined || file.size === 0 ? "" : `${file.size} ${file.mtimeMs}`))
    .join("; ");
}

/** None where there is no file, or one that cannot be used: then all is looked at again, and what is here already stays. */
async function readKnown(file: string): Promise<Known> {
  const text = await textIfThere(file, "record");
  try {
    return knownSchema.parse(parseJson(text ?? ""));
  } catch {
    return { format: 1, stores: {} };
  }
}

/** By size and time of the shipped file, which every question about a feature would else read whole. */
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
