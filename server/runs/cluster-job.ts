/** What jobs of all clusters have in common: the folder that machines share, and how a job's script ended. */
import { isAbsolute, relative, resolve, sep } from "node:path";
import { LfpError } from "../common/errors.ts";
import type { JobStanding } from "./executor.ts";
import type { ScriptExit } from "./job-notes.ts";
import { lastOutput } from "./last-output.ts";

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
