import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { threadId } from "node:worker_threads";
import { isAlive } from "../../common/alive.ts";
import { LfpError, messageOf } from "../../common/errors.ts";
import { ModelFileError } from "../safetensors.ts";
import type { HubClient, RemoteFile } from "./client.ts";
import { DownloadCancelledError, DownloadDamagedError, HubUnreachableError } from "./errors.ts";

/**
 * Downloads a file to `blobPath`, where it appears whole and with the right checksum or not at all. It resumes earlier
 * tries and broken connections, and downloads a resumed file with a wrong checksum once more from the start. `onBytes`
 * is called with the number of bytes on disk; the number falls when a download restarts.
 *
 * Throws `DownloadDamagedError`, `DownloadCancelledError`, `ModelFileError` (disk) and what `HubClient.download` throws.
 */
export async function downloadBlob(
  client: HubClient,
  url: string,
  file: RemoteFile,
  blobPath: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const partial = await claimPartial(blobPath).catch((cause) => Promise.reject(new ModelFileError(blobPath, cause)));
  try {
    const transfer = await Transfer.open(partial, file);
    try {
      const resumed = transfer.bytes > 0;
      await transfer.finish(client, url, onBytes);
      if (resumed && transfer.digest() !== file.etag) {
        await transfer.restart();
        await transfer.finish(client, url, onBytes);
      }
      if (transfer.digest() !== file.etag) {
        await unlink(partial);
        throw new DownloadDamagedError(url, `the checksum ${file.etag}`, transfer.digest());
      }
      await transfer.sync();
    } finally {
      await transfer.close();
    }
    await rename(partial, blobPath);
  } catch (error) {
    await releasePartial(partial, blobPath);
    throw error instanceof LfpError ? error : new ModelFileError(blobPath, error);
  }
}

/** A download in progress, with the running checksum of its bytes. */
class Transfer {
  bytes = 0;
  readonly #handle: FileHandle;
  readonly #file: RemoteFile;
  #hash: Hash;

  private constructor(handle: FileHandle, file: RemoteFile) {
    this.#handle = handle;
    this.#file = file;
    this.#hash = startedHash(file);
  }

  /** Opens the file and resumes after the bytes that it already has. */
  static async open(path: string, file: RemoteFile): Promise<Transfer> {
    const transfer = new Transfer(await open(path, "a+"), file);
    const there = await stat(path);
    if (there.size > file.bytes) await transfer.restart();
    else {
      for await (const chunk of createReadStream(path)) transfer.#hash.update(chunk);
      transfer.bytes = there.size;
    }
    return transfer;
  }

  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = startedHash(this.#file);
    this.bytes = 0;
  }

  /**
   * Fetches the rest. Reconnects as long as it makes progress; without any, it retries as often as the client's
   * patience.
   */
  async finish(client: HubClient, url: string, onBytes: (bytes: number) => void): Promise<void> {
    onBytes(this.bytes);
    let furthest = this.bytes;
    for (let fruitless = 0; this.bytes < this.#file.bytes; ) {
      const failure = await this.#fetchRest(client, url, onBytes);
      if (client.signal?.aborted) throw new DownloadCancelledError(url);
      if (failure === undefined) continue;
      fruitless = this.bytes > furthest ? 0 : fruitless + 1;
      furthest = Math.max(furthest, this.bytes);
      if (fruitless > client.patience.retries) throw new HubUnreachableError(url, failure);
      await client.wait(client.patience.retryDelayMs * 2 ** fruitless, url);
    }
  }

  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Fetches over one connection. Returns the error that broke it off, if any. */
  async #fetchRest(client: HubClient, url: string, onBytes: (bytes: number) => void): Promise<Error | undefined> {
    const response = await client.download(url, this.bytes);
    const start = /^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "")?.[1];
    // The hub did not resume where we stopped: restart with the whole file if it sends that, else request it.
    if (this.bytes > 0 && (response.status !== 206 || Number(start) !== this.bytes)) {
      await this.restart();
      if (response.status !== 200) {
        await response.body?.cancel();
        return new Error(`the hub answered ${response.status} to a request for the rest of the file`);
      }
    }
    const reader = response.body?.getReader();
    if (reader === undefined) return new Error("the answer is empty");
    try {
      for (;;) {
        const chunk = await withinSilence(reader, client.patience.silenceMs).catch(
          (error) => new Error(messageOf(error)),
        );
        if (chunk instanceof Error) return chunk;
        if (chunk === undefined) break;
        await this.#append(chunk, url);
        onBytes(this.bytes);
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
    return this.bytes < this.#file.bytes ? new Error("the connection ended early") : undefined;
  }

  async #append(chunk: Uint8Array, url: string): Promise<void> {
    if (this.bytes + chunk.byteLength > this.#file.bytes) {
      await this.restart();
      throw new DownloadDamagedError(url, `${this.#file.bytes} bytes`, "more");
    }
    for (let written = 0; written < chunk.byteLength; ) {
      written += (await this.#handle.write(chunk, written)).bytesWritten;
    }
    this.#hash.update(chunk);
    this.bytes += chunk.byteLength;
  }
}

/** LFS names a file by the SHA-256 of its bytes, git by the SHA-1 of a head line and its bytes. */
function startedHash({ etag, bytes }: RemoteFile): Hash {
  return etag.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
}

/** The next chunk, or undefined at the end. Throws when the connection breaks or on a timeout. */
async function withinSilence(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  silenceMs: number,
): Promise<Uint8Array | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the hub fell silent")), silenceMs);
  });
  try {
    const { value } = await Promise.race([reader.read(), silence]);
    return value;
  } finally {
    clearTimeout(timer);
  }
}

let claimCount = 0;

/**
 * A path for an unfinished download that no other process or thread writes to. It takes over the file of an ended
 * process by renaming it; in a race only one rename succeeds.
 */
async function claimPartial(blobPath: string): Promise<string> {
  const folder = dirname(blobPath);
  await mkdir(folder, { recursive: true });
  const host = hostname().replaceAll(/[^\w-]/g, "_");
  const stem = blobPath.slice(folder.length + 1);
  const mine = join(folder, `${stem}.lfp-${process.pid}-${threadId}-${claimCount++}-${host}.incomplete`);
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${stem}.lfp`) || !name.endsWith(".incomplete")) continue;
    const owner = /\.lfp-(\d+)-\d+-\d+-([\w-]*)\.incomplete$/.exec(name);
    const free = owner === null || (owner[2] === host && !isAlive(Number(owner[1])));
    if (!free) continue;
    try {
      await rename(join(folder, name), mine);
      return mine;
    } catch {
      // Lost the race.
    }
  }
  return mine;
}

/** Releases an unfinished download, so that the next one can resume it. */
async function releasePartial(partial: string, blobPath: string): Promise<void> {
  await rename(partial, `${blobPath}.lfp.incomplete`).catch(() => undefined);
}
