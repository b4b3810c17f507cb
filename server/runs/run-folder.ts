import { readdir, realpath, stat } from "node:fs/promises";
import { basename, isAbsolute, join, relative, sep } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { LfpError } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import { parseJson } from "../common/json.ts";
import { readTextFile, WholeFileError } from "../common/text-file.ts";
import { RunState } from "../protocol/run-events.ts";
import { disk, errnoOf, type FileSystem, makeFolder, remove, StorageError, unlessMissing } from "./files.ts";
import { LockedError, lockHolder } from "./run-lock.ts";

/** The paths of a run's files and folders. Absolute, or relative to the caller's folder, as `root` is. */
export interface RunPaths {
  readonly root: string;
  /** The experiment; written by whoever creates the run. */
  readonly experiment: string;
  /** `run.json`: state, lineage, versions (`RunRecord`). */
  readonly record: string;
  /** `log.jsonl`: metrics, one line each, in the order of the stages. */
  readonly log: string;
  /** `events.jsonl`: what happened when (`RunEvent`). */
  readonly events: string;
  /** Finished outputs, `<stage>-<first 16 digits of key>/`; `*.work` are unfinished ones with their checkpoints. */
  readonly stages: string;
  readonly lock: string;
  /** A request to stop. */
  readonly cancel: string;
  /** How the detached process was started. */
  readonly job: string;
  /** The detached process's standard output and error. */
  readonly output: string;
  /** What executors keep beside `job`: scripts of jobs, and notes on them. */
  readonly jobs: string;
}

/** Several times the longest plan's length: a record above it was not written by a run. */
const MOST_STAGES = 256;
const MOST_PUBLISHED = 10_000;

/** `run.json`. */
export const RunRecord = z.object({
  format: z.literal(1),
  name: z.string(),
  state: RunState,
  seed: z.number(),
  deviceClass: z.string(),
  versions: z.record(z.string(), z.string()),
  stages: z
    .array(
      z.object({
        id: z.string(),
        stage: z.string(),
        codeVersion: z.int(),
        status: z.enum(["todo", "running", "reused", "done"]),
        /** Known once all its inputs exist. */
        key: z.string().optional(),
        /** Folder in the run folder. */
        output: z.string().optional(),
        /** Digest of the output's contents. */
        digest: z.string().optional(),
      }),
    )
    .max(MOST_STAGES),
  /** Files outside `stages/` under which outputs also appear, relative to the run folder. */
  published: z.array(z.string()).max(MOST_PUBLISHED),
  /** Name of the executor's job that last worked on the run; absent for a process that its identity names. */
  job: z.string().optional(),
  /** ISO 8601. */
  updated: z.string(),
});
export type RunRecord = z.infer<typeof RunRecord>;

/** A run name is invalid on some system. */
export class RunNameError extends LfpError {
  readonly code = "usage";

  constructor(name: string) {
    super(
      `A run cannot be called ${JSON.stringify(name.slice(0, 100))}: expected 1 to 64 of a-z, 0-9 and "-", and no name ` +
        "that Windows keeps for itself (con, nul, com1 ...).",
    );
  }
}

/** A file of a run folder is not in a format that this version writes. */
export class RunFileError extends LfpError {
  readonly code = "input";
}

/** A run folder is a link to somewhere outside the folder of runs. */
export class RunOutsideError extends LfpError {
  readonly code = "usage";

  constructor(folder: string, actual: string) {
    super(`${folder} leads out of the folder of runs, to ${actual}. Remove the link, or use the folder it leads to.`);
  }
}

/**
 * The folder of a run, which need not exist yet. Throws `RunNameError`, or `RunOutsideError` for a link that leads
 * away.
 */
export async function runFolder(runsRoot: string, name: string): Promise<string> {
  checkRunName(name);
  const folder = join(runsRoot, name);
  const actual = await unlessMissing(realpath(folder));
  if (actual !== undefined) {
    const inside = relative(await realpath(runsRoot), actual);
    if (inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside) || inside === "") {
      throw new RunOutsideError(folder, actual);
    }
  }
  return folder;
}

/**
 * Creates the folder of a run and writes its `experiment.json`; keeps an existing folder and replaces the experiment.
 * Throws `RunNameError`, `RunOutsideError`, and `LockedError` when a process is working on the run.
 */
export async function prepareRun(runsRoot: string, name: string, experiment: unknown): Promise<string> {
  checkRunName(name);
  const folder = await inStorage(join(runsRoot, name), async () => {
    await makeFolder(runsRoot);
    const found = await runFolder(runsRoot, name);
    await makeFolder(found);
    return found;
  });
  const holder = await lockHolder(runPaths(folder).lock);
  if (holder !== undefined) throw new LockedError(`run ${name}`, holder);
  await writeFileAtomically(runPaths(folder).experiment, `${JSON.stringify(experiment, null, 2)}\n`);
  return folder;
}

async function inStorage<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw errnoOf(error) === undefined ? error : new StorageError(`The run's folder ${folder} cannot be made`, error);
  }
}

/** Names of the runs in a folder, sorted; ignores other entries. */
export async function listRuns(runsRoot: string): Promise<string[]> {
  const entries = (await unlessMissing(readdir(runsRoot, { withFileTypes: true }))) ?? [];
  return entries
    .filter((entry) => entry.isDirectory() && isRunName(entry.name))
    .map((entry) => entry.name)
    .sort();
}

/** Names of folders that hold a run but are not called as a run can be, sorted; `listRuns` leaves them out. */
export async function listMisnamedRuns(runsRoot: string): Promise<string[]> {
  const entries = (await unlessMissing(readdir(runsRoot, { withFileTypes: true }))) ?? [];
  const names = entries.filter((entry) => entry.isDirectory() && !isRunName(entry.name)).map(({ name }) => name);
  const found = await Promise.all(
    names.map(async (name) => {
      const { record, experiment } = runPaths(join(runsRoot, name));
      return (await exists(record)) || (await exists(experiment)) ? [name] : [];
    }),
  );
  return found.flat().sort();
}

/** The layout of a run folder. */
export function runPaths(root: string): RunPaths {
  return {
    root,
    experiment: join(root, "experiment.json"),
    record: join(root, "run.json"),
    log: join(root, "log.jsonl"),
    events: join(root, "events.jsonl"),
    stages: join(root, "stages"),
    lock: join(root, "lock"),
    cancel: join(root, "cancel.json"),
    job: join(root, "job.json"),
    output: join(root, "output.log"),
    jobs: join(root, "jobs"),
  };
}

/** Names at the top of a run folder that belong to the machinery. */
export const RESERVED_NAMES: readonly string[] = Object.values(runPaths("")).map((path) => path.replace(/^[/\\]/, ""));

/** `run.json` of a run folder; `undefined` before the run's first start. Throws `RunFileError`. */
export async function readRecord(folder: string): Promise<RunRecord | undefined> {
  const path = runPaths(folder).record;
  try {
    const text = await unlessMissing(readTextFile(path, "record"));
    return text === undefined ? undefined : RunRecord.parse(parseJson(text));
  } catch (cause) {
    if (cause instanceof WholeFileError)
      throw new RunFileError(`${cause.message}. Remove it: the finished stages and checkpoints are found without it.`, {
        cause,
      });
    if (errnoOf(cause) !== undefined) throw new StorageError(`${path} cannot be read`, cause);
    throw new RunFileError(
      `${path} is not a record that this version can read. If a newer version wrote it, use that one; if it is damaged, ` +
        "remove it: the finished stages and checkpoints are found without it.",
      { cause },
    );
  }
}

/** Replaces `run.json`. */
export async function writeRecord(folder: string, record: RunRecord, files: FileSystem = disk): Promise<void> {
  await writeFileAtomically(runPaths(folder).record, `${JSON.stringify(record, null, 2)}\n`, files);
}

/**
 * Removes the temporary files that killed processes left at the top of a run folder. Only for the lock's holder, who alone
 * writes run.json; a submitter may be writing the other files (job.json), so that only old ones of theirs are left over.
 */
export async function sweepTemporaries(folder: string, files: FileSystem): Promise<void> {
  const own = `.${basename(runPaths(folder).record)}.`;
  for (const name of await readdir(folder)) {
    if (!/^\..*\.tmp$/.test(name)) continue;
    const path = join(folder, name);
    if (name.startsWith(own) || (await isAbandoned(path))) await remove(path, files);
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const found = await unlessMissing(stat(path));
  return found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS;
}

/** Writing a small file takes milliseconds; disks and networks may stall. */
const ABANDONED_MS = 10 * 60_000;

/** Throws `RunNameError` unless a run can have this name on every system. */
export function checkRunName(name: string): void {
  if (!isRunName(name)) throw new RunNameError(name);
}

function isRunName(name: string): boolean {
  return /^[a-z0-9-]{1,64}$/.test(name) && !/^(con|prn|aux|nul|com\d|lpt\d)$/.test(name);
}
