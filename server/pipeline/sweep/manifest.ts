/** `sweep.json`, by which a sweep's folder is known and its runs are found. Loads nothing of experiments. */
import { join } from "node:path";
import { z } from "zod";
import { LfpError } from "../../common/errors.ts";
import { exists } from "../../common/exists.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { unlessMissing } from "../../runs/files.ts";

/** Maximum number of runs of a sweep. */
export const MOST_RUNS = 1000;

/**
 * `sweep.json` in a sweep's folder: what its runs are called and what they are. It is written whole before anything is
 * started; how a run stands is written in that run's own folder alone.
 */
export const SweepManifest = z.object({
  format: z.literal(1),
  runs: z
    .array(
      z.object({
        /** Folder of the run in the sweep's. */
        name: z.string().regex(/^[a-z0-9-]{1,64}$/),
        /** Of its experiment; see `SweepRun`. */
        digest: z.string(),
        settings: z.record(z.string(), z.json()),
        /** Whether the sweep's file still asks for it. */
        isAsked: z.boolean(),
      }),
    )
    .max(20 * MOST_RUNS),
});
export type SweepManifest = z.infer<typeof SweepManifest>;

/** A sweep's folder holds no manifest, or one that this version cannot read. */
export class SweepFolderError extends LfpError {
  readonly code = "input";
}

/** Whether a sweep has been started in a folder. */
export async function isSweepFolder(folder: string): Promise<boolean> {
  return await exists(manifestPath(folder));
}

/** The folders of the runs that a sweep asks for; undefined for a folder that is none of a sweep's. Throws `SweepFolderError`. */
export async function sweepRunFolders(folder: string): Promise<string[] | undefined> {
  const runs = (await readManifest(folder))?.runs;
  return runs?.filter(({ isAsked }) => isAsked).map(({ name }) => join(folder, name));
}

/** The lock of the process that works on a sweep, and starts its runs. */
export function sweepLock(folder: string): string {
  return join(folder, "sweep.lock");
}

export function manifestPath(folder: string): string {
  return join(folder, "sweep.json");
}

/** What a sweep records; undefined before it is started. Throws `SweepFolderError`. */
export async function readManifest(folder: string): Promise<SweepManifest | undefined> {
  const path = manifestPath(folder);
  const text = await unlessMissing(readTextFile(path, "result"));
  if (text === undefined) return undefined;
  try {
    return SweepManifest.parse(parseJson(text));
  } catch (cause) {
    throw new SweepFolderError(
      `${path} is not the record of a sweep that this version can read. Remove it to record the sweep anew: finished runs are found again where their settings are the same.`,
      { cause },
    );
  }
}
