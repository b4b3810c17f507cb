/** Checks by its folder whether a run is active: cheap enough to do in every window. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { RunState } from "../../server/protocol/run-events.ts";
import { isActive } from "./run-text.ts";

const record = z.object({ state: RunState });
/** A cluster's; jobs of this machine have no name. */
const job = z.object({ name: z.string().regex(/^lfp-[a-z0-9-]+$/) });
const MOST_RUNS = 500;

/**
 * Whether one of the runs in these folders and in the sweeps there was active when it last wrote its state, or has a
 * cluster's job of whose end nobody knows. It may be over since, which only the server can tell. Unreadable folders and
 * files count as inactive.
 */
export async function isRunUnderWay(runsRoots: readonly string[]): Promise<boolean> {
  const folders = (await Promise.all(runsRoots.map(foldersIn))).flat().slice(0, MOST_RUNS);
  const ofSweeps = await Promise.all(folders.map(async (folder) => ((await isSweep(folder)) ? foldersIn(folder) : [])));
  const found = await Promise.all([...folders, ...ofSweeps.flat()].slice(0, MOST_RUNS).map(isUnderWay));
  return found.includes(true);
}

async function foldersIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(root, name));
}

async function isUnderWay(folder: string): Promise<boolean> {
  const run = await parsed(join(folder, "run.json"), record);
  if (run !== undefined && isActive(run.state)) return true;
  const kind = run?.state.kind;
  const { name } = (await parsed(join(folder, "job.json"), job)) ?? {};
  return name !== undefined && kind !== "done" && kind !== "failed" && !(await isThere(folder, "jobs", `${name}.gone`));
}

async function parsed<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return undefined;
  }
}

async function isSweep(folder: string): Promise<boolean> {
  return await isThere(folder, "sweep.json");
}

async function isThere(...path: readonly string[]): Promise<boolean> {
  return await stat(join(...path)).then(
    () => true,
    () => false,
  );
}
