import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
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
