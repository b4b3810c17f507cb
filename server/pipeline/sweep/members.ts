/**
 * `members.json`, by which runs that a command made together are found: seeds of one experiment, parts of a calibration. A
 * sweep's file says more of its runs (`sweep.json`).
 */
import { join, relative } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { unlessMissing } from "../../runs/files.ts";
import { CalibrationOptions } from "../calibration-options.ts";
import { MOST_RUNS, SweepFolderError, sweepRunFolders } from "./manifest.ts";

const Members = z.object({
  format: z.literal(1),
  /** Folders in the folder of this file, or beside it: the file may come from anywhere, and its runs are stopped by it. */
  runs: z.array(z.string().regex(/^(\.\.\/)?[a-z0-9-]{1,64}$/)).max(MOST_RUNS),
  /** Of which calibration they are parts. */
  calibration: CalibrationOptions.optional(),
});
export type Members = z.infer<typeof Members>;

function membersPath(folder: string): string {
  return join(folder, "members.json");
}

/** Records which runs a command works on, in the folder of their common result, and which calibration that is, if any. */
export async function recordMembers(
  folder: string,
  runs: readonly { readonly folder: string }[],
  { calibration }: Pick<Members, "calibration"> = {},
): Promise<void> {
  const members: Members = {
    format: 1,
    runs: runs.map((run) => relative(folder, run.folder).replaceAll("\\", "/")),
    calibration,
  };
  await writeFileAtomically(membersPath(folder), `${JSON.stringify(members, null, 2)}\n`);
}

/**
 * The folders of the runs that belong together by a folder: a sweep's, or those of a command that recorded them;
 * undefined where there are none. Throws `SweepFolderError`.
 */
export async function memberFolders(folder: string): Promise<string[] | undefined> {
  const ofSweep = await sweepRunFolders(folder);
  if (ofSweep !== undefined) return ofSweep;
  return (await readMembers(folder))?.runs.map((name) => join(folder, name));
}

/** What a command recorded of its runs in the folder of their common result, if anything. Throws `SweepFolderError`. */
export async function readMembers(folder: string): Promise<Members | undefined> {
  const path = membersPath(folder);
  const text = await unlessMissing(readTextFile(path, "result"));
  if (text === undefined) return undefined;
  try {
    return Members.parse(parseJson(text));
  } catch (cause) {
    throw new SweepFolderError(
      `${path} is not a list of runs that this version can read. Remove it; the command that made it writes it anew.`,
      { cause },
    );
  }
}
