/** What resolving a model and resolving a data set have in common: when the hub is asked, and how files get into the cache. */
import { statfs } from "node:fs/promises";
import { resolve } from "node:path";
import { downloadBlob } from "./blob.ts";
import { HubCache, isCommit } from "./cache.ts";
import { HubClient, type Patience, type RemoteFile } from "./client.ts";
import { DiskTooSmallError, HubUnreachableError, NotCachedError } from "./errors.ts";
import { type Repository, repositoryNoun } from "./repository.ts";
import { type Environment, type HubSettings, hubSettings } from "./settings.ts";

/** How far a download is; `bytes` falls back when a damaged file is fetched anew. */
export interface DownloadProgress {
  /** The file that is on its way. */
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface ResolveOptions {
  /** Whether what is not in the cache may be fetched from the hub; nothing is otherwise. */
  readonly download: boolean;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** Instead of the built-in one, such as for a proxy. */
  readonly fetch?: typeof fetch;
  /** Instead of `process.env`. */
  readonly env?: Environment;
  readonly patience?: Patience;
}

/** What is wanted of a repository. */
export interface SnapshotRequest<T> {
  readonly repository: Repository;
  /** A branch, tag or commit. */
  readonly revision: string;
  /** What of it is in the cache at a commit; undefined unless all is there. */
  readonly find: (cache: HubCache, commit: string) => Promise<T | undefined>;
  /** Whether what was found at a commit that was asked for by its hash needs no look at the hub. */
  readonly isFinal: (found: T) => Promise<boolean>;
  /** Brings all of it into the cache with `snapshot.fetch`. */
  readonly fetch: (snapshot: SnapshotFetcher) => Promise<T>;
}

export interface ResolvedSnapshot<T> {
  readonly value: T;
  readonly commit: string;
  readonly source: "cache" | "download";
}

/**
 * Without `download` no request is made. With it, the hub is asked for the revision's newest commit, and what is missing is
 * fetched. With the network off, what the cache holds is used.
 *
 * Throws `NotCachedError`, `DiskTooSmallError`, `ModelFileError`, the errors of `errors.ts` and those of the request.
 */
export async function resolveSnapshot<T>(
  request: SnapshotRequest<T>,
  options: ResolveOptions,
): Promise<ResolvedSnapshot<T>> {
  const { repository, revision } = request;
  const settings = await hubSettings(options.env);
  const cache = new HubCache(settings.cacheFolder, repository);
  const known = await cache.commitOf(revision);
  const value = known === undefined ? undefined : await request.find(cache, known);
  const cached =
    known === undefined || value === undefined ? undefined : { value, commit: known, source: "cache" as const };
  if (!options.download || settings.offline) {
    if (cached) return cached;
    throw new NotCachedError(repository, revision, settings.cacheFolder, remedyFor(repository, options, settings));
  }
  // A commit never changes.
  if (cached && isCommit(revision) && (await request.isFinal(cached.value))) return cached;

  let commit: string;
  try {
    // Someone who has the files and is offline should not wait long to be told so.
    const patience = cached ? HASTE : options.patience;
    commit = await new HubClient(settings, repository, { ...options, patience }).commitOf(revision);
  } catch (error) {
    if (cached && error instanceof HubUnreachableError) return cached;
    throw error;
  }
  const client = new HubClient(settings, repository, options);
  const fetcher = new SnapshotFetcher(client, cache, commit, options.onProgress ?? (() => undefined));
  const fetched = await request.fetch(fetcher);
  await cache.writeRef(revision, commit);
  return { value: fetched, commit, source: fetcher.fetchedFiles > 0 ? "download" : "cache" };
}

const HASTE: Patience = { retries: 0, retryDelayMs: 0, silenceMs: 10_000 };

/** Brings files of one commit into the cache. */
export class SnapshotFetcher {
  readonly client: HubClient;
  readonly cache: HubCache;
  readonly commit: string;
  readonly #onProgress: (progress: DownloadProgress) => void;
  #fetchedFiles = 0;

  constructor(client: HubClient, cache: HubCache, commit: string, onProgress: (progress: DownloadProgress) => void) {
    this.client = client;
    this.cache = cache;
    this.commit = commit;
    this.#onProgress = onProgress;
  }

  /** Files that had to be fetched so far. */
  get fetchedFiles(): number {
    return this.#fetchedFiles;
  }

  /** Fetches what is missing of these files, each resumed where an earlier try stopped and checked against its checksum. */
  async fetch(files: readonly RemoteFile[]): Promise<void> {
    const { client, cache, commit } = this;
    const missing: RemoteFile[] = [];
    for (const file of files) if (!(await cache.hasBlob(file.etag, file.bytes))) missing.push(file);
    const totalBytes = missing.reduce((sum, { bytes }) => sum + bytes, 0);
    await checkSpace(cache.blobsFolder, totalBytes);

    let doneBytes = 0;
    for (const file of files) {
      if (missing.includes(file)) {
        const onBytes = (bytes: number) => this.#onProgress({ file: file.path, bytes: doneBytes + bytes, totalBytes });
        await downloadBlob(client, client.fileUrl(commit, file.path), file, cache.blobPath(file.etag), onBytes);
        doneBytes += file.bytes;
        this.#fetchedFiles += 1;
      }
      await cache.link(commit, file.path, file.etag);
    }
  }
}

/** The nearest folder above that exists says how much room there is; a file system that does not say has enough. */
async function checkSpace(folder: string, neededBytes: number): Promise<void> {
  const parent = resolve(folder, "..");
  const found = await statfs(folder).catch(() => undefined);
  if (found === undefined) return parent === folder ? undefined : await checkSpace(parent, neededBytes);
  const freeBytes = found.bavail * found.bsize;
  if (freeBytes < neededBytes) throw new DiskTooSmallError(folder, neededBytes, freeBytes);
}

function remedyFor({ kind }: Repository, { download }: ResolveOptions, { offline }: HubSettings): string {
  const noun = repositoryNoun(kind);
  if (offline && download) return `HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set: unset it to download the ${noun}.`;
  return `Allow the download (--download), or give a ${kind === "model" ? "folder" : "file"} that holds the ${noun}.`;
}
