/** Reads files that runs append to, piece by piece from a byte offset. */
import { tryJson } from "../../common/json.ts";
import { openRegular } from "../../common/text-file.ts";
import { visible } from "../../common/untrusted-text.ts";
import type { ResultOf } from "../../protocol/message.ts";
import type { RunOutput } from "../../protocol/runs.ts";
import { unlessMissing } from "../../runs/files.ts";

/** Maximum number of bytes read per request; the next request reads on. */
const PIECE_BYTES = 1 << 22;

/**
 * Reads whole lines of a JSON Lines file from a byte offset. If no line starts there, the file was restarted and is
 * read from its beginning.
 */
export async function readLines(
  path: string,
  asked: number,
  maxLines: number,
): Promise<{ offset: number; lines: Record<string, unknown>[] }> {
  const handle = await unlessMissing(openRegular(path));
  if (handle === undefined) return { offset: 0, lines: [] };
  try {
    const { size } = await handle.stat();
    const before = Buffer.alloc(1);
    if (asked > 0 && asked <= size) await handle.read(before, 0, 1, asked - 1);
    const start = asked > 0 && asked <= size && before.toString() === "\n" ? asked : 0;
    const buffer = Buffer.alloc(Math.min(PIECE_BYTES, size - start));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    const lines: Record<string, unknown>[] = [];
    let end = 0;
    for (let next = buffer.indexOf("\n"); next >= 0 && next < bytesRead && lines.length < maxLines; ) {
      const value = parseLine(buffer.toString("utf8", end, next));
      if (value !== undefined) lines.push(value);
      end = next + 1;
      next = buffer.indexOf("\n", end);
    }
    return { offset: start + end, lines };
  } finally {
    await handle.close();
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  const value = tryJson(line);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** What is shown of an output that is there already: its last lines. */
const LAST_BYTES = 1 << 18;

/**
 * Reads a file of text from a byte offset, or its last lines for null; from its beginning if it is shorter than the
 * offset. A character that is not written whole yet is left to the next call.
 */
export async function readOutput(path: string, asked: number | null): Promise<ResultOf<typeof RunOutput>> {
  await using handle = await unlessMissing(openRegular(path));
  if (handle === undefined) return { start: 0, offset: 0, text: "" };
  const { size } = await handle.stat();
  const from = asked === null ? Math.max(0, size - LAST_BYTES) : asked <= size ? asked : 0;
  const buffer = Buffer.alloc(Math.min(LAST_BYTES, size - from));
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
  const skipped = asked === null && from > 0 ? buffer.subarray(0, bytesRead).indexOf("\n") + 1 : 0;
  const piece = buffer.subarray(skipped, bytesRead - unfinishedBytes(buffer.subarray(0, bytesRead)));
  return { start: from + skipped, offset: from + skipped + piece.length, text: visible(piece.toString()) };
}

/** How many bytes at the end are the beginning of a UTF-8 character whose other bytes are missing. */
function unfinishedBytes(bytes: Buffer): number {
  for (let count = 1; count <= Math.min(3, bytes.length); count++) {
    const byte = bytes[bytes.length - count] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > count ? count : 0;
  }
  return 0;
}
