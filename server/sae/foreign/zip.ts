/** Files in a zip archive that lies in memory, stored or deflated; archives of 4 GB and more (zip64) are refused. */
import { inflateRawSync } from "node:zlib";
import { SaeFormatError } from "../errors.ts";

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
const endBytes = 22;
const mostComment = 2 ** 16;
/** Real archives of a dictionary have a dozen files. */
const mostEntries = 4096;
/**
 * Deflate packs zeros a thousand times, weights of a dictionary hardly at all; small files may hold mostly zeros, as biases
 * before any training are.
 */
const mostInflation = 16;
const freeBytes = 2 ** 24;
const stored = 0;
const deflated = 8;

/** The archive's files by name. Throws `SaeFormatError`, also when a file is read that is not as its entry says. */
export function readZip(bytes: Buffer, path: string): ReadonlyMap<string, () => Buffer> {
  const end = endOf(bytes, path);
  const count = bytes.readUInt16LE(end + 10);
  if (count > mostEntries)
    throw new SaeFormatError(`${path} is a zip archive of ${count} files; expected at most ${mostEntries}`);
  const files = new Map<string, () => Buffer>();
  let at = bytes.readUInt32LE(end + 16);
  let plain = 0;
  for (let entry = 0; entry < count; entry++) {
    if (at + 46 > end || bytes.readUInt32LE(at) !== entrySignature) throw damaged(path, "its list of files is cut off");
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field));
    const name = bytes.toString("utf8", at + 46, at + 46 + (nameBytes ?? 0));
    const place = at;
    plain += bytes.readUInt32LE(at + 24);
    if (plain > freeBytes + mostInflation * bytes.length)
      throw damaged(path, `its files are said to hold ${plain} bytes, in an archive of ${bytes.length}`);
    files.set(name, () => contentOf(bytes, place, name, path));
    at += 46 + (nameBytes ?? 0) + (extraBytes ?? 0) + (commentBytes ?? 0);
  }
  return files;
}

function endOf(bytes: Buffer, path: string): number {
  const first = Math.max(0, bytes.length - endBytes - mostComment);
  for (let at = bytes.length - endBytes; at >= first; at--) if (bytes.readUInt32LE(at) === endSignature) return at;
  throw damaged(
    path,
    "it has no end of an archive. PyTorch before 1.6 saved another format: load it in Python and save it again",
  );
}

function contentOf(bytes: Buffer, entry: number, name: string, path: string): Buffer {
  const method = bytes.readUInt16LE(entry + 10);
  const [packed, plain, local] = [20, 24, 42].map((field) => bytes.readUInt32LE(entry + field));
  if (packed === undefined || plain === undefined || local === undefined) throw damaged(path, `'${name}' has no entry`);
  if ([packed, plain, local].includes(0xffffffff)) throw damaged(path, `'${name}' is 4 GB or more`);
  if (local + 30 > bytes.length || bytes.readUInt32LE(local) !== localSignature)
    throw damaged(path, `'${name}' is missing`);
  const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
  const body = bytes.subarray(start, start + packed);
  if (body.length !== packed) throw damaged(path, `'${name}' is cut off`);
  const content = method === stored ? body : method === deflated ? inflated(body, plain, name, path) : undefined;
  if (content === undefined)
    throw damaged(path, `'${name}' is compressed by method ${method}; expected stored or deflated`);
  if (content.length !== plain)
    throw damaged(path, `'${name}' holds ${content.length} bytes where its entry says ${plain}`);
  return content;
}

function inflated(body: Buffer, plain: number, name: string, path: string): Buffer {
  try {
    return inflateRawSync(body, { maxOutputLength: Math.max(1, plain) });
  } catch (cause) {
    throw new SaeFormatError(`${path}: '${name}' cannot be inflated; download the file again`, { cause });
  }
}

function damaged(path: string, detail: string): SaeFormatError {
  return new SaeFormatError(`${path} is no sound zip archive: ${detail}`);
}
