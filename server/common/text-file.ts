import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { LfpError } from "./errors.ts";

/**
 * Maximum size in bytes of a file of each kind that is read whole: several times what programs write and people keep,
 * and small enough for its text and parsed form to fit into memory.
 */
const mostBytes = {
  /** A model's config.json, tokenizer_config.json. */
  config: 2 ** 23,
  /** tokenizer.json: 33 MB for 262,000 tokens with their merges. */
  tokenizer: 2 ** 27,
  /** Which shard of a checkpoint holds each tensor. */
  "checkpoint index": 2 ** 25,
  experiment: 2 ** 22,
  "ablation set": 2 ** 24,
  /** State of a run, its lock and its process, and small files of settings. */
  record: 2 ** 22,
  /** probe.json and report.json. */
  result: 2 ** 26,
  /** A stage's output for later stages. */
  "stage output": 2 ** 29,
  /** A stage's checkpoint file, and a feature store to copy: the most that one read call of the system returns. */
  checkpoint: 2 ** 31 - 1,
  store: 2 ** 31 - 1,
  /** An archive of a dictionary (params.npz, ae.pt): the most that one read call of the system returns. */
  dictionary: 2 ** 31 - 1,
  /** A classifier as ONNX, and its weights beside it. */
  "onnx model": 2 ** 31 - 1,
  /** Texts to read or to continue. */
  text: 2 ** 28,
} as const;
export type FileKind = keyof typeof mostBytes;

/** A path cannot be read whole: it is not a regular file, exceeds the limit of its kind, or is not text. */
export class WholeFileError extends LfpError {
  readonly code = "input";
}

/** The file is a Git LFS pointer: a clone without Git LFS has a few lines in place of each large file. */
export class LfsPointerError extends WholeFileError {
  constructor(path: string) {
    super(`${path}: it is a Git LFS pointer, not the file itself: run \`git lfs pull\` in that folder`);
  }
}

/**
 * A text file's contents, without a byte order mark. Throws `WholeFileError`, also for invalid UTF-8, which would
 * otherwise decode to other characters, and the system's errors.
 */
export async function readTextFile(path: string, kind: FileKind): Promise<string> {
  const bytes = await readWholeFile(path, kind);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new WholeFileError(`${path}: it is not UTF-8. Save it in that encoding`, { cause });
  }
}

/** All of standard input as text, by the rules of `readTextFile` for a text. */
export async function readStandardInput(): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of process.stdin) {
    parts.push(Buffer.from(part));
    bytes += parts.at(-1)?.length ?? 0;
    if (bytes > mostBytes.text)
      throw new WholeFileError(`it has more than ${mostBytes.text} bytes, the most that are read`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch (cause) {
    throw new WholeFileError("it is not UTF-8", { cause });
  }
}

/** The bytes of a file. Throws `WholeFileError` and the system's errors. */
export async function readWholeFile(path: string, kind: FileKind): Promise<Buffer> {
  await using handle = await openRegular(path);
  await refuseLfsPointer(handle, path);
  const { size } = await handle.stat();
  const most = mostBytes[kind];
  const fail = (got: string): never => {
    throw new WholeFileError(`${path}: it has ${got} bytes; at most ${most} are read of a file of its kind (${kind})`);
  };
  if (size > most) fail(`${size}`);
  // One spare byte detects the end of the file. Files of the system report size 0 and have more.
  let bytes = Buffer.allocUnsafe(size + 1);
  for (let filled = 0; ; ) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, null);
    if (bytesRead === 0) return bytes.subarray(0, filled);
    filled += bytesRead;
    if (filled > most) fail(`more than ${most}`);
    if (filled === bytes.length) bytes = Buffer.concat([bytes, Buffer.allocUnsafe(Math.max(filled, 4096))]);
  }
}

/**
 * Opens a regular file for reading. Rejects a named pipe or a device instead of waiting for it. Throws `WholeFileError`
 * and the system's errors.
 */
export async function openRegular(path: string): Promise<FileHandle> {
  // Without the flag, opening a pipe waits for a writer. Windows has neither.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new WholeFileError(`${path}: it is ${kindOf(found)}; expected a regular file`);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

const lfsPointer = Buffer.from("version https://git-lfs.github.com/spec/");

/** Throws `LfsPointerError` for a Git LFS pointer; does not move the read position. */
export async function refuseLfsPointer(handle: FileHandle, path: string): Promise<void> {
  const start = Buffer.alloc(lfsPointer.length);
  const { bytesRead } = await handle.read(start, 0, start.length, 0);
  if (bytesRead === start.length && start.equals(lfsPointer)) throw new LfsPointerError(path);
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return "a folder";
  if (found.isFIFO()) return "a named pipe";
  return found.isSocket() ? "a socket" : "a device";
}
