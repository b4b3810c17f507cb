import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * SHA-256 of what must be the same however often a run was cut: all files of its outputs but their receipts, what is published and
 * the log, by path. Leftovers show up as files that should not be there.
 */
export async function lastingFiles(runFolder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(runFolder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(runFolder.length + 1);
    if (entry.isDirectory() || PASSING.some((name) => path.startsWith(name)) || path.endsWith("receipt.json")) continue;
    const bytes = await readFile(join(runFolder, path));
    found.set(path, createHash("sha256").update(bytes).digest("hex"));
  }
  return new Map([...found].sort(([a], [b]) => a.localeCompare(b)));
}

/** `features.sqlite` is the reader's: it holds their notes, and when what came into it. */
const PASSING = ["lock/", "run.json", "events.jsonl", "job.json", "output.log", "jobs/", "features.sqlite"];
