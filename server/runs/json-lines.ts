import * as nodeFs from "node:fs";
import { isJson } from "../common/json.ts";
import { WholeFileError } from "../common/text-file.ts";
import type { FileSystem } from "./files.ts";

const NEWLINE = 0x0a;

/**
 * An append-only file of JSON lines. A line is complete or absent: the torn rest of a failed write or a power cut is
 * truncated before anything else is written. Calls are synchronous, so a line is in the file when the call returns
 * (though it may not survive a power cut until `sync`).
 */
export class JsonLinesFile {
  readonly path: string;
  readonly #files: FileSystem;
  readonly #descriptor: number;
  #size: number;
  #hasDebris: boolean = false;

  /** Opens or creates the file, and truncates a torn end. */
  constructor(path: string, files: FileSystem) {
    this.path = path;
    this.#files = files;
    this.#descriptor = files.openSync(path, "a+");
    const found = nodeFs.fstatSync(this.#descriptor);
    if (!found.isFile()) {
      files.closeSync(this.#descriptor);
      throw new WholeFileError(`${path}: it is no regular file, and lines can be added to no other. Remove it`);
    }
    const { size } = found;
    this.#size = wholeLinesSize(this.#descriptor, size);
    if (this.#size < size) this.truncate(this.#size);
  }

  /** Size of the whole lines, in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Appends one value as one line. */
  append(value: object): void {
    this.appendBytes(Buffer.from(`${JSON.stringify(value)}\n`));
  }

  /** Appends whole lines. */
  appendBytes(bytes: Uint8Array): void {
    if (this.#hasDebris) this.truncate(this.#size);
    this.#hasDebris = true;
    for (let written = 0; written < bytes.length; ) {
      written += this.#files.writeSync(this.#descriptor, bytes, written, bytes.length - written);
    }
    this.#hasDebris = false;
    this.#size += bytes.length;
  }

  /** Truncates the file at this byte, which must be the start of a line. */
  truncate(size: number): void {
    this.#files.ftruncateSync(this.#descriptor, size);
    this.#size = size;
    this.#hasDebris = false;
  }

  /** Bytes `start` up to `end`, or up to the end of the file if that comes first. */
  read(start: number, end: number): Buffer {
    return readRange(this.#descriptor, start, Math.min(end, this.#size));
  }

  /** The last line without its line break; `undefined` when there is none. */
  lastLine(): string | undefined {
    if (this.#size === 0) return undefined;
    const start = lineStart(this.#descriptor, this.#size - 1);
    return this.read(start, this.#size - 1).toString();
  }

  /** Flushes what was appended to the disk, so that it survives a power cut. */
  sync(): void {
    this.#files.fsyncSync(this.#descriptor);
  }

  /** Truncates what a failed append may have left, and closes the file. */
  close(): void {
    try {
      if (this.#hasDebris) this.truncate(this.#size);
    } finally {
      this.#files.closeSync(this.#descriptor);
    }
  }
}

/** Size of the whole, valid JSON lines, in bytes: a power cut can leave a torn line, or a tail of zeros. */
function wholeLinesSize(descriptor: number, size: number): number {
  let end = size;
  while (end > 0) {
    const start = lineStart(descriptor, end - 1);
    const line = readRange(descriptor, start, end);
    if (line.at(-1) === NEWLINE && isJson(line.toString())) return end;
    end = start;
  }
  return 0;
}

/** Start of the line that contains the byte at `position`; a line break belongs to the line that it ends. */
function lineStart(descriptor: number, position: number): number {
  for (let window = 4096; ; window *= 4) {
    const from = Math.max(0, position - window);
    const found = readRange(descriptor, from, position).lastIndexOf(NEWLINE);
    if (found !== -1) return from + found + 1;
    if (from === 0) return 0;
  }
}

function readRange(descriptor: number, start: number, end: number): Buffer {
  const buffer = Buffer.alloc(Math.max(0, end - start));
  let filled = 0;
  while (filled < buffer.length) {
    const count = nodeFs.readSync(descriptor, buffer, filled, buffer.length - filled, start + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}
