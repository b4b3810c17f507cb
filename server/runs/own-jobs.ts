/**
 * Which jobs of clusters this user has submitted: an empty file each, by the job's name, in the user's state folder. A run
 * folder cannot say so: it may come from somebody else, and going on with its job would be at this user's cost.
 */
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stateFolder } from "../common/state-folder.ts";
import { unlessMissing } from "./files.ts";

/** Older jobs go on only when somebody asks for it. */
const KEPT_MS = 30 * 24 * 3_600_000;

/** Notes a job as this user's. Where it cannot be noted, the job goes on only when somebody asks for it. */
export async function noteOwnJob(name: string): Promise<void> {
  const folder = ownJobs();
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), "");
    for (const other of await readdir(folder)) if (!(await isOwnJob(other))) await rm(join(folder, other));
  } catch {
    // The disk is full, or another process has removed the same old file.
  }
}

/** Whether this user submitted a job within the last month. */
export async function isOwnJob(name: string): Promise<boolean> {
  const noted = await unlessMissing(stat(join(ownJobs(), name)));
  return noted !== undefined && Date.now() - noted.mtimeMs < KEPT_MS;
}

function ownJobs(): string {
  return join(stateFolder(), "jobs");
}
