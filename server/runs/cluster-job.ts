/**
 * What jobs of all clusters have in common: the folder that machines share, a job's record and notes before it is submitted,
 * and what the run's folder says of its end.
 */
import { randomBytes } from "node:crypto";
import { appendFile, mkdir, readdir, rm } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { LfpError } from "../common/errors.ts";
import { clearCancelRequest, requestCancel } from "./cancel.ts";
import type { JobSpec, JobStanding } from "./executor.ts";
import { knownEnd, noteEnd, notePaths, notePresent, noteStop, RUN_NOTES, type ScriptExit } from "./job-notes.ts";
import { lastOutput } from "./last-output.ts";
import { type ProcessIdentity, thisProcess } from "./process-identity.ts";
import { readRecord, runPaths } from "./run-folder.ts";
import { lockHolder } from "./run-lock.ts";

/** A run's folder is not one that the cluster's nodes see. */
export class NotSharedError extends LfpError {
  readonly code = "usage";

  constructor(folder: string, shared: string) {
    super(
      `${folder} is not in ${shared}, the folder that executors.json says all nodes of the cluster see: put the run there with --out.`,
    );
  }
}

/** Throws `NotSharedError` where a run is outside the folder that all machines share, if one is named. */
export function requireShared(sharedFolder: string | undefined, runFolder: string): void {
  if (sharedFolder !== undefined && !isWithin(sharedFolder, runFolder))
    throw new NotSharedError(runFolder, sharedFolder);
}

/** A name that no other job has, with a word for people. */
export function jobName(word: string): string {
  return `lfp-${word
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 64)}-${randomBytes(6).toString("hex")}`;
}

/** What a job's record says before the job is submitted: it is found again by its name. */
export async function intentOf(
  { argv }: JobSpec,
  name: string,
): Promise<{
  readonly name: string;
  readonly argv: string[];
  readonly submittedAt: string;
  readonly submitter: ProcessIdentity;
}> {
  return {
    name,
    argv: [...argv],
    submittedAt: new Date().toISOString(),
    submitter: await thisProcess(),
  };
}

/** Writes what a job finds in the run folder when it begins: its script, and the file for its output. */
export async function prepareJob({ runFolder, isAgain }: JobSpec, name: string, script: string): Promise<void> {
  const { jobs, output } = runPaths(runFolder);
  await mkdir(jobs, { recursive: true });
  // Whatever the cluster still does with earlier jobs of the run, they do not begin again.
  for (const earlier of await readdir(jobs))
    if (earlier.endsWith(".sh")) await noteStop(runFolder, earlier.slice(0, -".sh".length));
  // A job whose output cannot be opened may vanish without a word.
  await appendFile(output, "");
  await writeFileAtomically(notePaths(runFolder, name).script, script);
  if (isAgain !== true) for (const note of Object.values(RUN_NOTES)) await rm(join(jobs, note), { force: true });
}

/** What a cluster says of a job. */
export interface FoundJob {
  readonly standing: JobStanding;
  /** Whether the cluster knows the job. */
  readonly isListed: boolean;
}

/**
 * A job's standing: by the run's record, which alone says that the run is done, and by an end that was found before; else as
 * `ask` finds it, whose end is kept.
 */
export async function standingOfJob(folder: string, name: string, ask: () => Promise<FoundJob>): Promise<JobStanding> {
  const run = await readRecord(folder);
  if (run?.job === name && (run.state.kind === "done" || run.state.kind === "failed")) return { state: "gone" };
  const known = await knownEnd(folder, name);
  if (known !== undefined) return { state: "gone", ...known };
  const { standing, isListed } = await ask();
  if (isListed) await notePresent(folder, name);
  if (standing.state === "gone") await noteEnd(folder, name, { why: standing.why, how: standing.how });
  return standing;
}

/**
 * Whether a job's process holds the run's lock, and renews it where it is not seen from here: it may have outlived its
 * cluster's memory of it, and another job of the run would only wait for it.
 */
export async function givesSignsOfLife(folder: string, name: string): Promise<boolean> {
  return (await lockHolder(runPaths(folder).lock))?.job === name;
}

/** Lets everyone see that the run which works in the folder was asked to stop; the cluster's own signal stops it too. */
export async function showCancel(folder: string): Promise<void> {
  const holder = await lockHolder(runPaths(folder).lock);
  if (holder !== undefined) await requestCancel(folder, holder.process);
}

/** Records that a job was not submitted. If it is after all, it ends as it begins. */
export async function noteNotSubmitted(folder: string, name: string, why: string): Promise<void> {
  await noteStop(folder, name);
  await noteEnd(folder, name, { why: `its job was not submitted: ${why}`, how: "stopped" });
}

/** Records that a cluster refused the array of a job, so that the run may be submitted by itself. */
export async function noteRefusedArray(folder: string, name: string): Promise<void> {
  await noteStop(folder, name);
  await noteEnd(folder, name, { why: "the cluster took no array of jobs", how: "passing" });
}

/** Records a job's end by us. */
export async function noteCancelled(folder: string, name: string): Promise<void> {
  await clearCancelRequest(folder);
  await noteEnd(folder, name, { how: "stopped" });
}

/** A job's standing by the status and word with which its script ended. */
export async function standingOfExit(folder: string, { code, word }: ScriptExit): Promise<JobStanding> {
  if (word === "stopped" || word === "ended") return { state: "gone", how: "stopped" };
  if (word === "stalled")
    return {
      state: "gone",
      why: "its job was started several times without reaching a new checkpoint: raise `time` in executors.json",
    };
  if (code === 75) return { state: "gone", why: "its job saved and ended before the run did", how: "passing" };
  if (code === 0) return { state: "gone" };
  const last = await lastOutput(folder);
  return { state: "gone", why: `its job ended with status ${code}${last === "" ? "" : `: ${last}`}` };
}

function isWithin(folder: string, path: string): boolean {
  const inside = relative(resolve(folder), path);
  return inside !== ".." && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
}
