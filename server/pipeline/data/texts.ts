import type { FileHandle } from "node:fs/promises";
import { pipeline, type Readable, Transform, type TransformCallback } from "node:stream";
import { createGunzip } from "node:zlib";
import { parse as parseCsv } from "csv-parse";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema, type RowGroup } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { z } from "zod";
import { LfpError, messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { linesOf, MOST_LINE_UNITS } from "../../common/lines.ts";
import { Pacer } from "../../common/pacer.ts";
import { openRegular, refuseLfsPointer } from "../../common/text-file.ts";

/** One text of a data file. */
export interface TextRecord {
  /** Its row, from 0. */
  readonly row: number;
  readonly text: string;
}

export interface TextOptions {
  /** The field or column that holds the text. */
  readonly field: string;
  /** Maximum number of rows to read. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** A data file is not in the format that its name says. */
export class DataFileError extends LfpError {
  readonly code = "input";
}

/** Extensions of the files that `readTexts` reads. */
export const dataFileEndings: readonly string[] = [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"];

/**
 * Maximum number of texts of one file, and of their characters: all are held in memory, because samples are drawn from
 * all.
 */
const MOST_ROWS = 2 ** 22;
export const MOST_TEXT_UNITS = 2 ** 30;
/** Maximum number of line breaks of a file, which can exceed the rows because of empty lines and multi-line cells. */
const MOST_LINES = 2 ** 24;
/** Maximum bytes of a column in a row group, and of one page of it: both are held in memory. */
const MOST_COLUMN_BYTES = 2 ** 30;
const MOST_PAGE_BYTES = 2 ** 28;

/**
 * The texts of a file, in file order. Throws `DataFileError` naming the row, and, on abort, the signal's reason after
 * at most one block of rows.
 */
export async function readTexts(
  path: string,
  { field, limit = Number.POSITIVE_INFINITY, signal }: TextOptions,
): Promise<TextRecord[]> {
  const texts: TextRecord[] = [];
  if (limit <= 0) return texts;
  const pacer = new Pacer(signal);
  let units = 0;
  for await (const [row, value] of rowsOf(path, field)) {
    const text = textOf(value, field, `${path}, row ${row + 1}`);
    units += text.length;
    if (texts.length >= MOST_ROWS) throw new DataFileError(tooMuch(path, `${MOST_ROWS} rows`));
    if (units > MOST_TEXT_UNITS) throw new DataFileError(tooMuch(path, `${MOST_TEXT_UNITS} characters of text`));
    texts.push({ row, text });
    if (texts.length >= limit) break;
    await pacer.pause();
  }
  if (texts.length === 0) throw new DataFileError(`${path} holds no rows`);
  return texts;
}

function tooMuch(path: string, most: string): string {
  return `${path} has more than ${most}, which are the most that one file may hold: give a part of it`;
}

type Rows = AsyncGenerator<readonly [row: number, value: unknown]>;

const readers: Readonly<Record<string, (path: string, field: string) => Rows>> = {
  ".jsonl": (path) => jsonLines(path, opened(path)),
  ".jsonl.gz": (path) => jsonLines(path, opened(path, createGunzip())),
  ".csv": (path) => csvRows(path, opened(path)),
  ".csv.gz": (path) => csvRows(path, opened(path, createGunzip())),
  ".parquet": parquetRows,
};

function rowsOf(path: string, field: string): Rows {
  const ending = dataFileEndings.toReversed().find((candidate) => path.toLowerCase().endsWith(candidate));
  const reader = ending === undefined ? undefined : readers[ending];
  if (reader === undefined)
    throw new DataFileError(
      `${path} is not a data file that can be read; expected one ending in ${dataFileEndings.join(", ")}`,
    );
  return reader(path, field);
}

/** Opens a regular file as a stream of text. Throws `DataFileError`. */
async function opened(path: string, ...through: readonly NodeJS.ReadWriteStream[]): Promise<Readable> {
  const handle = await openData(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return inUtf8(path, handle.createReadStream(), ...through);
}

async function openData(path: string): Promise<FileHandle> {
  const handle = await openRegular(path);
  try {
    await refuseLfsPointer(handle, path);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function* jsonLines(path: string, opening: Promise<Readable>): Rows {
  let row = 0;
  try {
    for await (const read of linesOf(await opening)) {
      const line = row === 0 ? read.replace(/^\uFEFF/, "") : read;
      if (line.trim() !== "") yield [row, parseLine(line, path, row)];
      row += 1;
    }
  } catch (error) {
    throw error instanceof DataFileError ? error : unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): DataFileError {
  return new DataFileError(`${path} cannot be read: ${messageOf(cause)}`, { cause });
}

function parseLine(line: string, path: string, row: number): unknown {
  try {
    return parseJson(line);
  } catch (cause) {
    throw new DataFileError(`${path}, line ${row + 1} is not JSON: ${messageOf(cause)}`, { cause });
  }
}

async function* csvRows(path: string, opening: Promise<Readable>): Rows {
  const input = await opening;
  const failed = failureOf(input);
  const parser = parseCsv({
    columns: (header: string[]) => differentColumns(path, header),
    bom: true,
    relax_column_count: false,
    skip_empty_lines: true,
    max_record_size: MOST_LINE_UNITS,
  });
  input.on("error", () => parser.end());
  input.pipe(parser);
  let row = 0;
  try {
    for await (const value of parser) yield [row++, value];
  } catch (cause) {
    if (cause instanceof DataFileError) throw cause;
    throw new DataFileError(`${path}, row ${row + 1} is not CSV: ${messageOf(cause)}`, { cause });
  } finally {
    input.destroy();
  }
  const failure = failed();
  if (failure !== undefined) throw failure instanceof DataFileError ? failure : unreadable(path, failure);
}

/** Rejects a header with two columns of one name: the rows would silently have the last. */
function differentColumns(path: string, header: string[]): string[] {
  const twice = header.find((name, at) => header.indexOf(name) !== at);
  if (twice === undefined) return header;
  throw new DataFileError(`${path} has two columns '${twice}': rename one, so that it is clear which is meant`);
}

/** Reads one row group at a time, and only the requested column: tables with many columns and gigabytes are usual. */
async function* parquetRows(path: string, field: string): Rows {
  try {
    await (await openData(path)).close();
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    // If the column is missing, the first row shows which there are.
    const asked = columns.includes(field) ? { columns: [field] } : {};
    const rowCount = metadata.row_groups.reduce((sum, group) => sum + group.num_rows, 0n);
    if (rowCount > MOST_ROWS) throw new DataFileError(tooMuch(path, `${MOST_ROWS} rows`));
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      checkGroup(path, group, asked.columns);
      const rowEnd = rowStart + Number(group.num_rows);
      const rows = await parquetReadObjects({
        file,
        metadata,
        compressors: boundedCompressors,
        rowStart,
        rowEnd,
        ...asked,
      });
      for (const [at, value] of rows.entries()) yield [rowStart + at, value];
      rowStart = rowEnd;
    }
  } catch (cause) {
    if (cause instanceof DataFileError) throw cause;
    throw new DataFileError(`${path} cannot be read as Parquet: ${messageOf(cause)}`, { cause });
  }
}

/** Checks a group's decompressed size before it is read. */
function checkGroup(path: string, group: RowGroup, columns: readonly string[] | undefined): void {
  for (const { meta_data } of group.columns) {
    const name = meta_data?.path_in_schema[0] ?? "";
    if (columns !== undefined && !columns.includes(name)) continue;
    const bytes = meta_data?.total_uncompressed_size ?? 0n;
    if (bytes > MOST_COLUMN_BYTES)
      throw new DataFileError(
        `${path} has ${bytes} bytes in column '${name}' of one group of rows, and at most ${MOST_COLUMN_BYTES} are read at once: write it in smaller groups`,
      );
  }
}

/** Decompressors with a size limit: the library allocates as much as a page claims to contain. */
const boundedCompressors: typeof compressors = Object.fromEntries(
  Object.entries(compressors).map(([name, decompress]) => [
    name,
    (input: Uint8Array, outputBytes: number) => {
      if (outputBytes > MOST_PAGE_BYTES)
        throw new DataFileError(
          `a page of it has ${outputBytes} bytes, and at most ${MOST_PAGE_BYTES} are read at once`,
        );
      return decompress(input, outputBytes);
    },
  ]),
);

const record = z.record(z.string(), z.unknown());

function textOf(value: unknown, field: string, where: string): string {
  const parsed = record.safeParse(value);
  if (!parsed.success)
    throw new DataFileError(`${where} is ${inWords(value)}; expected an object with a field '${field}'`);
  const text = parsed.data[field];
  if (typeof text === "string") return text;
  if (Object.hasOwn(parsed.data, field))
    throw new DataFileError(
      `${where} has ${inWords(text)} in field '${field}'; expected a text: leave the row out, or name another field with data.field`,
    );
  const fields = Object.keys(parsed.data).slice(0, 8).join(", ");
  throw new DataFileError(
    `${where} has no text in field '${field}' (it has ${fields}); name the field with data.field`,
  );
}

/** Formats a value for a message; JSON cannot represent 64-bit integers. */
function inWords(value: unknown): string {
  const json = JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part));
  return String(typeof value === "bigint" ? value : json).slice(0, 40);
}

/** Decodes bytes as UTF-8 and fails if they are not valid; an error of any of the streams reaches the last. */
function inUtf8(path: string, ...streams: readonly [NodeJS.ReadableStream, ...NodeJS.ReadWriteStream[]]): Readable {
  let lines = 0;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decode = (done: TransformCallback, bytes?: Uint8Array): void => {
    let text: string;
    try {
      text = decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      done(new Error("it is not UTF-8. Save it in that encoding"));
      return;
    }
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
    if (lines > MOST_LINES) {
      done(new DataFileError(tooMuch(path, `${MOST_LINES} lines`)));
      return;
    }
    done(null, text);
  };
  const checked = new Transform({
    transform: (bytes: Uint8Array, _encoding, done) => decode(done, bytes),
    flush: (done) => decode(done),
  });
  pipeline([...streams, checked], () => undefined);
  return checked.setEncoding("utf8");
}

/** Captures a stream's error event, which line readers do not pass on. */
function failureOf(input: Readable): () => unknown {
  let failure: unknown;
  input.on("error", (error) => {
    failure = error;
  });
  return () => failure;
}
