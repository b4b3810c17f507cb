import { stat } from "node:fs/promises";
import { openRegular } from "../common/text-file.ts";
import type { RunEvent } from "../protocol/run-events.ts";
import { parseEvent } from "./event-log.ts";
import { unlessMissing } from "./files.ts";
import { FolderWatch } from "./folder-watch.ts";
import { runPaths } from "./run-folder.ts";
import { runWork } from "./run-status.ts";

export interface FollowOptions {
  /** Skips events up to and including this number; 0 for none. */
  readonly after?: number;
  /** Ends the sequence. */
  readonly signal?: AbortSignal;
  /**
   * `end`: until every event has been yielded, and nothing works on the run or waits to. `abort`: until `signal` is
   * aborted, through later attempts too.
   */
  readonly until?: "end" | "abort";
}

/**
 * The events of a run, past and future, each once and in order; any process may follow. Yields whole lines only: a line
 * that is still being written waits. Throws `RunFileError` for a line that this version does not know.
 */
export async function* followEvents(folder: string, options: FollowOptions = {}): AsyncGenerator<RunEvent> {
  const { after = 0, signal, until = "end" } = options;
  const path = runPaths(folder).events;
  const tail = new Tail(path);
  const watch = new FolderWatch(folder);
  let last = after;
  try {
    while (!signal?.aborted) {
      const wasAlive = until === "abort" || (await runWork(folder)).state !== "gone";
      let isNew = false;
      for (const line of await tail.lines()) {
        const event = parseEvent(line, path);
        if (event.seq <= last) continue;
        last = event.seq;
        isNew = true;
        yield event;
        if (signal?.aborted) return;
      }
      if (!wasAlive && !isNew) return;
      if (!isNew) await watch.next(POLL_MS, signal);
    }
  } finally {
    watch.close();
  }
}

const POLL_MS = 500;
const PIECE_BYTES = 1 << 20;
const NEWLINE = 0x0a;

/** Reads a growing file piece by piece, in whole lines. */
class Tail {
  readonly #path: string;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** The whole lines since the last call, at most about a mebibyte of them; empty when there are none. */
  async lines(): Promise<string[]> {
    const found = await unlessMissing(stat(this.#path));
    if (found === undefined) return [];
    // A torn line was truncated, or the run was recreated: read again; the caller skips known events by their number.
    if (found.size < this.#offset) this.#rewind();
    if (found.size === this.#offset) return [];
    const bytes = Buffer.concat([this.#rest, await this.#read(found.size)]);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    this.#rest = bytes.subarray(end);
    return bytes.subarray(0, end).toString().split("\n").slice(0, -1);
  }

  async #read(size: number): Promise<Buffer> {
    const handle = await openRegular(this.#path);
    try {
      const buffer = Buffer.alloc(Math.min(PIECE_BYTES, size - this.#offset));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offset);
      this.#offset += bytesRead;
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  #rewind(): void {
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
  }
}
