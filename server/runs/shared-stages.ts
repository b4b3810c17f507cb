/** Outputs and checkpoints of stages that the runs of one folder share. */
import { mkdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { exists } from "../common/exists.ts";
import { moveDurably, remove, syncTree, unlessMissing } from "./files.ts";
import { FolderWatch } from "./folder-watch.ts";
import { linkOrCopy } from "./publish.ts";
import { describeHolder, Lock, LockedError } from "./run-lock.ts";
import type { RunSession } from "./run-session.ts";
import { findOutput, makeOutput, type StageOptions, type Task } from "./run-stage.ts";
import { RunCancelledError } from "./stage.ts";
import { LOCK_SUFFIX, WORK_SUFFIX } from "./stage-folder.ts";
import { allFilesOf, openOutput, type StageOutput } from "./stage-output.ts";

/**
 * Where the runs in a folder of runs share their stages: those beside a folder of this name do, the others do not. No
 * run can have this name.
 */
export function sharedStages(runsRoot: string): string {
  return join(runsRoot, "shared_stages");
}

/** The folder that a run shares its stages in; undefined if it shares none. */
export async function sharedStagesOf(runFolder: string): Promise<string | undefined> {
  const folder = sharedStages(dirname(runFolder));
  return (await exists(folder)) ? folder : undefined;
}

/** How a run came to a stage's output. */
export interface Obtained {
  readonly output: StageOutput;
  readonly status: "reused" | "done";
}

/**
 * The output of a stage that another run has finished, linked into this run's folder; undefined where there is none.
 * Hard links take no space; where the file system has none, the files are copied.
 */
export async function findShared(
  shared: string,
  task: Task,
  session: RunSession,
  check: "fast" | "full",
): Promise<StageOutput | undefined> {
  const theirs = sharedTask(shared, task);
  const found = await openOutput(theirs.output, task.identity.key, check);
  if (found === undefined || typeof found === "string") return undefined;
  await linkOutput(found, task, session);
  return await findOutput(task, session, check);
}

/**
 * Computes a stage in the shared folder, going on from any run's checkpoint, and links the output into this run's
 * folder. One run computes a stage while the others that need it wait, by a lock for each stage. Throws
 * `RunCancelledError` when `signal` is aborted during the wait, and what `makeOutput` throws.
 */
export async function makeShared(
  shared: string,
  task: Task,
  session: RunSession,
  options: StageOptions & { readonly check: "fast" | "full" },
): Promise<Obtained> {
  const theirs = sharedTask(shared, task);
  const lock = await lockStage(theirs, session, options.signal);
  try {
    const there = await findShared(shared, task, session, options.check);
    if (there !== undefined) return { output: there, status: "reused" };
    // What is there although it was not found is damaged.
    await remove(theirs.output, session.files);
    const signal = AbortSignal.any([options.signal, lock.lost]);
    const made = await makeOutput(theirs, session, { ...options, signal });
    return { output: await linkOutput(made, task, session), status: "done" };
  } finally {
    await lock.release();
  }
}

/** The task with the shared folder's places. */
export function sharedTask(shared: string, task: Task): Task {
  const output = join(shared, basename(task.output));
  return { ...task, output, work: `${output}${WORK_SUFFIX}` };
}

/** Waits until no other run computes the stage. */
async function lockStage({ output, planned }: Task, session: RunSession, signal: AbortSignal): Promise<Lock> {
  const folder = `${output}${LOCK_SUFFIX}`;
  await mkdir(folder, { recursive: true });
  const watch = new FolderWatch(folder);
  try {
    for (;;) {
      if (signal.aborted) throw new RunCancelledError();
      try {
        return await Lock.acquire(folder, `stage ${planned.id}`, `stage ${planned.id} of run ${session.name}`);
      } catch (error) {
        if (!(error instanceof LockedError)) throw error;
        await session.setState({ kind: "waiting", for: describeHolder(error.holder) });
      }
      await watch.next(POLL_MS, signal);
    }
  } finally {
    watch.close();
  }
}

const POLL_MS = 500;

/** Gives a run its own links to a shared output's files. The run's working folder of that stage is rewritten. */
async function linkOutput(from: StageOutput, to: Task, { files }: RunSession): Promise<StageOutput> {
  await remove(to.work, files);
  for (const path of allFilesOf(from.manifest)) {
    const source = join(from.folder, path);
    if ((await unlessMissing(stat(source))) === undefined) continue;
    const target = join(to.work, path);
    await files.mkdir(dirname(target), { recursive: true });
    await linkOrCopy(source, target, files);
  }
  await syncTree(to.work, files);
  await moveDurably(to.work, to.output, files);
  return { folder: to.output, manifest: from.manifest };
}
