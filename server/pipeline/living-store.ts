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
  const shipped = await unlessMissing(readFile(own));
  if (shipped === undefined) return own;
  const folder = join(stateFolder(env), "starter-run", createHash("sha256").update(shipped).digest("hex").slice(0, 16));
  const copy = join(folder, STORE);
  // It was put there by rename, so it is whole.
  if ((await unlessMissing(stat(copy))) === undefined) {
    await mkdir(folder, { recursive: true });
    await writeFileAtomically(copy, shipped);
  }
  return copy;
}
