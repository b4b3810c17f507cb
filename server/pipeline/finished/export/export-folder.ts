/** Folders that an export writes: whole or not at all, and never over a file that is not its own. */

import { randomUUID } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../../common/atomic-file.ts";
import { LfpError, messageOf } from "../../../common/errors.ts";
import { tryJson } from "../../../common/json.ts";
import { ExportKind } from "../../../protocol/exports.ts";
import {
  type Checksum,
  checksumOf,
  disk,
  errnoOf,
  type FileSystem,
  listFiles,
  makeFolder,
  moveDurably,
  remove,
  StorageError,
  syncTree,
  textIfThere,
  unlessMissing,
} from "../../../runs/files.ts";

/** The file by which an export knows its own folder again: what it holds, and which run it is of. */
export const EXPORT_FILE = "lfp-export.json";

const exportFileSchema = z.object({
  format: z.literal(1),
  kind: ExportKind,
  run: z.string(),
  files: z.record(z.string(), z.object({ size: z.int(), sha256: z.string() })),
});
type ExportFile = z.infer<typeof exportFileSchema>;

/** A folder to export to holds something that an export did not write. */
export class ExportFolderError extends LfpError {
  readonly code = "usage";

  constructor(folder: string, problem: string) {
    super(`${folder} ${problem}; nothing there was changed. Name a folder that does not exist yet, or an empty one.`);
  }
}

export interface ExportedFolder {
  /** Absolute. */
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
}

/**
 * Writes a folder: `fill` writes into a temporary sibling, which then takes the folder's place. An earlier export of the
 * same kind is replaced if its files are as it wrote them. Throws `ExportFolderError`, `StorageError` and what `fill`
 * throws; the folder is then as it was.
 */
export async function writeExportFolder(
  to: string,
  about: Pick<ExportFile, "kind" | "run">,
  fill: (folder: string) => Promise<void>,
  files: FileSystem = disk,
): Promise<ExportedFolder> {
  const folder = resolve(to);
  try {
    await checkReplaceable(folder, about);
    // Not by mkdtemp, whose folders only their owner may read: this one becomes the export.
    const temporary = join(dirname(folder), `.${basename(folder).slice(0, 48)}.${randomUUID()}`);
    await makeFolder(temporary);
    try {
      await fill(temporary);
      const written = await describe(temporary);
      await writeFileAtomically(join(temporary, EXPORT_FILE), exportFileText(about, written), files);
      await syncTree(temporary, files);
      // Once more: somebody may have written there meanwhile.
      await checkReplaceable(folder, about);
      await takePlace(temporary, folder, files);
      const bytes = Object.values(written).reduce((sum, { size }) => sum + size, 0);
      return { folder, files: Object.keys(written).length, bytes };
    } finally {
      await remove(temporary, files);
    }
  } catch (error) {
    throw errnoOf(error) === undefined ? error : new StorageError(`${folder} could not be written`, error);
  }
}

/** Throws `ExportFolderError` unless the folder is missing, empty, or an unchanged export of this kind. */
async function checkReplaceable(folder: string, { kind }: Pick<ExportFile, "kind">): Promise<void> {
  const found = await unlessMissing(stat(folder));
  if (found === undefined) return;
  if (!found.isDirectory()) throw new ExportFolderError(folder, "is a file");
  const names = await readdir(folder);
  if (names.length === 0) return;
  const text = await textIfThere(join(folder, EXPORT_FILE), "record");
  const own = text === undefined ? undefined : exportFileSchema.safeParse(tryJson(text)).data;
  if (own === undefined) throw new ExportFolderError(folder, `is not empty and is no export (no ${EXPORT_FILE})`);
  if (own.kind !== kind) throw new ExportFolderError(folder, `is an export of another kind (${own.kind})`);
  await checkUnchanged(folder, own);
}

async function checkUnchanged(folder: string, { files: known }: ExportFile): Promise<void> {
  for (const path of await filesIn(folder)) {
    const was = Object.hasOwn(known, path) ? known[path] : undefined;
    if (was === undefined) throw new ExportFolderError(folder, `holds ${path}, which the export did not write`);
    const { size } = await stat(join(folder, path));
    if (size !== was.size || (await checksumOf(join(folder, path))).sha256 !== was.sha256)
      throw new ExportFolderError(folder, `holds ${path}, which was changed after the export`);
  }
}

async function describe(folder: string): Promise<Record<string, Checksum>> {
  const found: [string, Checksum][] = [];
  for (const path of await filesIn(folder)) found.push([path, await checksumOf(join(folder, path))]);
  return Object.fromEntries(found);
}

/** Paths of an export's files but the export's own record. */
async function filesIn(folder: string): Promise<string[]> {
  try {
    return await listFiles(folder, "refused", (path) => path !== EXPORT_FILE);
  } catch (error) {
    throw error instanceof LfpError ? new ExportFolderError(folder, `cannot be replaced: ${messageOf(error)}`) : error;
  }
}

function exportFileText(about: Pick<ExportFile, "kind" | "run">, files: ExportFile["files"]): string {
  const content: ExportFile = { format: 1, ...about, files };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

/** Renames the new folder to its place; one that is there already is moved aside, and back if that fails. */
async function takePlace(from: string, to: string, files: FileSystem): Promise<void> {
  if ((await unlessMissing(stat(to))) === undefined) return await moveDurably(from, to, files);
  const aside = `${from}.old`;
  await files.rename(to, aside);
  try {
    await moveDurably(from, to, files);
  } catch (error) {
    await files.rename(aside, to);
    throw error;
  }
  await remove(aside, files);
}
