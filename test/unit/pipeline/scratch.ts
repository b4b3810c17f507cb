import { accessSync, constants } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** For `expect.poll`: how long a busy machine may take. */
export const PATIENT = { timeout: 30_000 };

/** A new empty folder that is removed after the test file; in memory where the system offers that, which makes flushes cheap. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(scratchRoot, "lfp-test-"));
  made.push(folder);
  return folder;
}

/**
 * What must be the same however often a run was cut: all files of its outputs but their receipts, what is published and the
 * log, by path. Leftovers show up as files that should not be there.
 */
export async function lastingFiles(runFolder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(runFolder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(runFolder.length + 1);
    if (entry.isDirectory() || PASSING.some((name) => path.startsWith(name)) || path.endsWith("receipt.json")) continue;
    found.set(path, (await readFile(join(runFolder, path))).toString("base64"));
  }
  return new Map([...found].sort(([a], [b]) => a.localeCompare(b)));
}

const PASSING = ["lock/", "run.json", "events.jsonl", "job.json", "output.log"];

const scratchRoot = writable("/dev/shm") ? "/dev/shm" : tmpdir();
const made: string[] = [];

afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true });
});

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
