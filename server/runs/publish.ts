import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InternalError } from "../common/errors.ts";
import { errnoOf, type FileSystem, remove, unlessMissing } from "./files.ts";
import { RESERVED_NAMES } from "./run-folder.ts";
import { OUTPUT_LOG, type StageOutput } from "./stage-output.ts";

/**
 * Publishes an output's files at `place` in the run folder, where people and other tools look for them. They are hard
 * links where the file system supports them and copies elsewhere; a rename puts each in place atomically. Returns their
 * paths in the run folder.
 */
export async function publishOutput(
  root: string,
  place: string,
  output: StageOutput,
  files: FileSystem,
): Promise<string[]> {
  const published: string[] = [];
  for (const { path } of output.manifest.files) {
    if (path === OUTPUT_LOG) continue;
    const target = place === "." ? path : `${place}/${path}`;
    checkPlace(target);
    await publishFile(join(output.folder, path), join(root, target), files);
    published.push(target);
  }
  return published;
}

/** Removes published files of earlier plans. */
export async function unpublish(root: string, paths: readonly string[], files: FileSystem): Promise<void> {
  for (const path of paths) {
    checkPlace(path);
    await remove(join(root, path), files);
  }
}

async function publishFile(from: string, to: string, files: FileSystem): Promise<void> {
  const source = await stat(from);
  const there = await unlessMissing(stat(to));
  if (there !== undefined && there.ino === source.ino && there.dev === source.dev) return;
  await files.mkdir(dirname(to), { recursive: true });
  const aside = `${to}.publishing`;
  await remove(aside, files);
  await linkOrCopy(from, aside, files);
  await files.rename(aside, to);
}

/** Gives a file a second name by a hard link, or copies it where the file system has no links between the two places. */
export async function linkOrCopy(from: string, to: string, files: FileSystem): Promise<void> {
  try {
    await files.link(from, to);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "ENOSYS", "EMLINK", "EXDEV"].includes(errnoOf(error) ?? "")) throw error;
    await files.copyFile(from, to);
  }
}

/** Validates a path that comes from settings before anything is written or removed there. */
function checkPlace(path: string): void {
  const parts = path.split("/");
  const isInside = parts.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\\"));
  if (!isInside || RESERVED_NAMES.includes(parts[0] ?? "")) {
    throw new InternalError(
      `an output cannot be published as ${path}: it is reserved, or leads out of the run folder.`,
    );
  }
}
