/** Shared by resolving models and data sets: when to ask the hub, and how to fetch files into the cache. */
import { statfs } from "node:fs/promises";
import { resolve } from "node:path";
import { downloadBlob } from "./blob.ts";
import { HubCache, isCommit } from "./cache.ts";
import { HubClient, type Patience, type RemoteFile } from "./client.ts";
import { DiskTooSmallError, HubUnreachableError, NotCachedError } from "./errors.ts";
import { type Repository, repositoryNoun } from "./repository.ts";
import { type Environment, type HubSettings, hubSettings } from "./settings.ts";

/** Progress of a download; `bytes` falls when a damaged file is downloaded again. */
export interface DownloadProgress {
  /** The file being downloaded. */
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface ResolveOptions {
  /** Whether files missing from the cache may be fetched from the hub. */
  readonly download: boolean;
  /** As in `Weights` of model-files.ts. */
  readonly onnxUnless?: ((modelType: unknown) => boolean) | undefined;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** Replaces the built-in fetch, such as for a proxy. */
  readonly fetch?: typeof fetch;
  /** Replaces `process.env`. */
  readonly env?: Environment;
  readonly patience?: Patience;
}

/** A request for some files of a repository. */
export interface SnapshotRequest<T> {
  readonly repository: Repository;
  /** A branch, tag or commit. */
  readonly revision: string;
  /** Finds the result in the cache at a commit; undefined unless it is complete. */
  readonly find: (cache: HubCache, commit: string) => Promise<T | undefined>;
  /** Whether a cached result needs no request to the hub, given that the caller named the commit by its hash. */
  readonly isFinal: (found: T) => Promise<boolean>;
  /** Fetches all of it into the cache with `snapshot.fetch`. */
  readonly fetch: (snapshot: SnapshotFetcher) => Promise<T>;
}

export interface ResolvedSnapshot<T> {
  readonly value: T;
  readonly commit: string;
  readonly source: "cache" | "download";
}

/**
 * Resolves a request from the cache and, with `download`, from the hub: it asks for the revision's newest commit and
 * fetches missing files. With the network off, it uses what the cache holds. Without `download` it makes no request.
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
    // A user who is offline but has the files cached should not wait long.
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

/** Fetches files of one commit into the cache. */
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

  /** Number of files fetched so far. */
  get fetchedFiles(): number {
    return this.#fetchedFiles;
  }

  /** Fetches those files that are missing; resumes earlier tries and verifies checksums. */
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

/** Checks free space at the nearest existing parent folder; passes on a file system that does not report it. */
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
