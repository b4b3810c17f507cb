import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll } from "vitest";
import { scratchRoot } from "./scratch-root.ts";

/** For `expect.poll`: how long a busy machine may take. */
export const PATIENT = { timeout: 100_000 };

/** A new empty folder that is removed after the test file; in memory where the system offers that, which makes flushes cheap. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(scratchRoot, "lfp-test-"));
  made.push(folder);
  return folder;
}

const made: string[] = [];

afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true });
});
