/** Where the feature store of a run is written to. */
import { createHash } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { starterRunFolder } from "../models/open.ts";
import { unlessMissing } from "./files.ts";
import { stateFolder } from "./machine-queue.ts";

const STORE = "features.sqlite";

/**
 * Path of a run's `features.sqlite`, which need not be there. The run that comes with the program may stand where nobody can write, and no
 * one's notes belong into an installed program: its store is copied into the user's state folder at first use, one copy for each version of it.
 */
export async function livingStore(runFolder: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const own = join(runFolder, STORE);
  if (resolve(runFolder) !== starterRunFolder()) return own;
  const found = await unlessMissing(stat(own));
  if (found === undefined) return own;
  const version = await versionOf(own, `${found.size} ${found.mtimeMs}`);
  const folder = join(stateFolder(env), "starter-run", version);
  const copy = join(folder, STORE);
  // It was put there by rename, so it is whole.
  if ((await unlessMissing(stat(copy))) === undefined) {
    await mkdir(folder, { recursive: true });
    await writeFileAtomically(copy, await readFile(own));
  }
  return copy;
}

/** By size and time of the shipped file, which every question about a feature would else read whole. */
const versions = new Map<string, string>();

async function versionOf(path: string, stamp: string): Promise<string> {
  const known = versions.get(stamp);
  if (known !== undefined) return known;
  const version = createHash("sha256")
    .update(await readFile(path))
    .digest("hex")
    .slice(0, 16);
  versions.set(stamp, version);
  return version;
}
