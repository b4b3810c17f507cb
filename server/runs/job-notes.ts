/** The small files in a run folder by which a job's script and those who look after the job understand each other. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { tryJson } from "../common/json.ts";
import { textIfThere } from "./files.ts";
import { runPaths } from "./run-folder.ts";

/** Paths of a job's notes in the run folder's `jobs/`, by the job's name. */
export function notePaths(folder: string, name: string) {
  const at = (kind: string) => join(runPaths(folder).jobs, `${name}.${kind}`);
  return {
    script: at("sh"),
    /** What the cluster runs for an array of jobs, and its output; in the folder of the array's first run. */
    array: at("array"),
    arrayOutput: at("array.log"),
    /** Asks the job not to begin, and not to have itself started again. */
    stop: at("stop"),
    /** Written by the script when it ends for good: its status, and a word on why. */
    exit: at("exit"),
    /** When the cluster was first seen not to know the job any more. */
    absent: at("absent"),
    /** The job's end, found once, so that the cluster is asked no more. */
    gone: at("gone"),
  };
}

/** Names of the notes that the script keeps over all jobs of a run: what there was at the last start, and how often. */
export const RUN_NOTES = { mark: "mark", stalled: "stalled" } as const;

const Absent = z.object({ sinceMs: z.number() });
const Gone = z.object({ why: z.string().optional(), how: z.enum(["stopped", "passing"]).optional() });

/** How a script ended. */
export interface ScriptExit {
  readonly code: number;
  /** `stalled`: too many starts without a new checkpoint; `stopped`: we asked it to; `ended`: the cluster did, as its state says. */
  readonly word: string;
}

/** How the job's script ended; undefined if it has not, or could not say so. */
export async function scriptExit(folder: string, name: string): Promise<ScriptExit | undefined> {
  const text = await textIfThere(notePaths(folder, name).exit, "record");
  const [, code, word = ""] = /^(\d{1,3})(?: (\w+))?\s*$/.exec(text ?? "") ?? [];
  return code === undefined ? undefined : { code: Number(code), word };
}

/** Whether somebody asked the job not to begin or go on. */
export async function isStopped(folder: string, name: string): Promise<boolean> {
  return (await textIfThere(notePaths(folder, name).stop, "record")) !== undefined;
}

/** Asks a job not to begin, and not to have itself started again. */
export async function noteStop(folder: string, name: string): Promise<void> {
  await writeFile(notePaths(folder, name).stop, "stop\n");
}

/** How long the cluster has not known the job, in milliseconds; the first call returns 0. */
export async function absentForMs(folder: string, name: string): Promise<number> {
  const path = notePaths(folder, name).absent;
  const known = Absent.safeParse(tryJson((await textIfThere(path, "record")) ?? "")).data;
  if (known !== undefined) return Math.max(0, Date.now() - known.sinceMs);
  await writeQuietly(path, { sinceMs: Date.now() });
  return 0;
}

/** The cluster knows the job (again). */
export async function notePresent(folder: string, name: string): Promise<void> {
  await rm(notePaths(folder, name).absent, { force: true }).catch(() => undefined);
}

/** The end that was found before; undefined if none was. */
export async function knownEnd(folder: string, name: string): Promise<z.infer<typeof Gone> | undefined> {
  return Gone.safeParse(tryJson((await textIfThere(notePaths(folder, name).gone, "record")) ?? "")).data;
}

export async function noteEnd(folder: string, name: string, end: z.infer<typeof Gone>): Promise<void> {
  await writeQuietly(notePaths(folder, name).gone, end);
}

/** Who may only read the folder does without. */
async function writeQuietly(path: string, note: unknown): Promise<void> {
  await writeFile(path, JSON.stringify(note)).catch(() => undefined);
}
