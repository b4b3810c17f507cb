/** Data sets from the hub: `resolveDataFiles`. */

import { mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { tryJson } from "../common/json.ts";
import { readTextFile } from "../common/text-file.ts";
import type { HubCache } from "./hub/cache.ts";
import {
  areAllShards,
  configsOfCard,
  type DataSelection,
  dataConfigsSchema,
  selectDataFiles,
} from "./hub/data-files.ts";
import { DataSplitError } from "./hub/errors.ts";
import { parseHubReference } from "./hub/reference.ts";
import { type ResolveOptions, resolveSnapshot, type SnapshotFetcher } from "./hub/snapshot.ts";
import { ModelFileError } from "./safetensors.ts";

export type { DataSelection } from "./hub/data-files.ts";

/** A split of a data set, as files on this machine. */
export interface ResolvedDataFiles {
  /** Absolute, in the split's order. */
  readonly paths: readonly string[];
  /** Whether the files were found in the cache or some of them were downloaded just now. */
  readonly source: "cache" | "download";
  /** The hub id, such as `stanfordnlp/imdb`. */
  readonly id: string;
  /** The exact commit on the hub. */
  readonly commit: string;
}

/**
 * Finds the files of one split of a data set on the hub, `owner/name[@revision]`, in the cache shared with all
 * Hugging Face tools. Like `resolveModel` it makes requests only with `download`, fetches only the split's missing
 * files, resumes and verifies downloads, and falls back to the cache when the network is off.
 *
 * The commit's list of files is kept in the cache, so that a split can be checked for completeness offline. Without
 * that list, because another tool filled the cache, only numbered shards (`train-00000-of-00002.parquet`) are
 * accepted.
 *
 * Throws `DataSetReferenceError`, `DataSplitError`, `NotCachedError`, `DiskTooSmallError`, `ModelFileError` (disk) and the
 * other errors of `hub/errors.ts`.
 */
export async function resolveDataFiles(
  reference: string,
  selection: DataSelection,
  options: ResolveOptions,
): Promise<ResolvedDataFiles> {
  const { id, revision } = parseHubReference(reference, "dataset");
  const { value, commit, source } = await resolveSnapshot<readonly string[]>(
    {
      repository: { kind: "dataset", id },
      revision,
      find: async (cache, at) => {
        try {
          return await findInCache(id, cache, at, selection);
        } catch (error) {
          // A newer commit may have the split.
          if (options.download && error instanceof DataSplitError) return undefined;
          throw error;
        }
      },
      isFinal: async () => true,
      fetch: (snapshot) => fetchSplit(id, snapshot, selection),
    },
    options,
  );
  return { paths: value, source, id, commit };
}

const noteSchema = z
  .object({
    configs: dataConfigsSchema,
    files: z.array(z.object({ path: z.string(), bytes: z.number(), etag: z.string() })).readonly(),
  })
  .readonly();

/** A commit's list of files and configurations, cached for good because a commit never changes. */
type CommitNote = z.infer<typeof noteSchema>;

async function fetchSplit(id: string, snapshot: SnapshotFetcher, selection: DataSelection): Promise<readonly string[]> {
  const { client, cache, commit } = snapshot;
  const note = (await readNote(cache, commit)) ?? {
    configs: configsOfCard(await client.card(commit)),
    files: await client.files(commit, { recursive: true }),
  };
  const names = note.files.map(({ path }) => path);
  const chosen = selectDataFiles(id, names, note.configs, selection);
  await writeNote(cache, commit, note);
  const files = new Map(note.files.map((file) => [file.path, file]));
  await snapshot.fetch(chosen.flatMap((path) => files.get(path) ?? []));
  return chosen.map((path) => join(cache.snapshotFolder(commit), path));
}

async function findInCache(
  id: string,
  cache: HubCache,
  commit: string,
  selection: DataSelection,
): Promise<readonly string[] | undefined> {
  const folder = cache.snapshotFolder(commit);
  const note = await readNote(cache, commit);
  if (note === undefined) return await findShards(id, folder, selection);
  const chosen = selectDataFiles(
    id,
    note.files.map(({ path }) => path),
    note.configs,
    selection,
  );
  const bytes = new Map(note.files.map((file) => [file.path, file.bytes]));
  return await whole(folder, chosen, (path, size) => size === bytes.get(path));
}

/** Files that another tool downloaded, if their shard numbers show that the split is complete. */
async function findShards(
  id: string,
  folder: string,
  selection: DataSelection,
): Promise<readonly string[] | undefined> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const names = entries.map((path) => path.replaceAll(sep, "/"));
  let chosen: readonly string[];
  try {
    chosen = selectDataFiles(id, names, [], selection);
  } catch {
    return undefined;
  }
  return areAllShards(chosen) ? await whole(folder, chosen, () => true) : undefined;
}

/** The files' absolute paths, or undefined unless each exists with the expected size in bytes. */
async function whole(
  folder: string,
  names: readonly string[],
  fits: (name: string, size: number) => boolean,
): Promise<readonly string[] | undefined> {
  for (const name of names) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found?.isFile() !== true || !fits(name, found.size)) return undefined;
  }
  return names.map((name) => join(folder, name));
}

async function readNote(cache: HubCache, commit: string): Promise<CommitNote | undefined> {
  const text = await readTextFile(cache.notePath(commit), "record").catch(() => "");
  return noteSchema.safeParse(tryJson(text)).data;
}

async function writeNote(cache: HubCache, commit: string, note: CommitNote): Promise<void> {
  const path = cache.notePath(commit);
  await mkdir(dirname(path), { recursive: true }).catch((cause) => Promise.reject(new ModelFileError(path, cause)));
  await writeFileAtomically(path, JSON.stringify(note));
}
