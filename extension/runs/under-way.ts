/** Checks by its folder whether a run is active: cheap enough to do in every window. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { RunState } from "../../server/protocol/run-events.ts";

const record = z.object({ state: RunState });
const MOST_RUNS = 500;

/**
 * Whether one of the runs in these folders was active when it last wrote its state. It may have been killed since,
 * which only the server can tell. Unreadable folders and files count as inactive.
 */
export async function isRunUnderWay(runsRoots: readonly string[]): Promise<boolean> {
  const names = await Promise.all(runsRoots.map(async (root) => await runFiles(root)));
  const found = await Promise.all(names.flat().slice(0, MOST_RUNS).map(isAtWork));
  return found.includes(true);
}

async function runFiles(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(root, name, "run.json"));
}

async function isAtWork(file: string): Promise<boolean> {
  try {
    const { state } = record.parse(JSON.parse(await readFile(file, "utf8")));
    return state.kind === "running" || state.kind === "waiting";
  } catch {
    return false;
  }
}
