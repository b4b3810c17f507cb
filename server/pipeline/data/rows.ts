import type { FileHandle } from "node:fs/promises";
import { pipeline, type Readable, Transform, type TransformCallback } from "node:stream";
import { createGunzip } from "node:zlib";
import { parse as parseCsv } from "csv-parse";
import type { RowGroup } from "hyparquet";
import type { compressors } from "hyparquet-compressors";
import { LfpError, messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import { linesOf, MOST_LINE_UNITS } from "../../common/lines.ts";
import { openRegular, refuseLfsPointer } from "../../common/text-file.ts";

/** A data file is not in the format that its name says. */
export class DataFileError extends LfpError {
  readonly code = "input";
}

/** Extensions of the files that are read. */
export const dataFileEndings: readonly string[] = [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"];

/**
 * Maximum number of texts of one file, and of their characters: all are held in memory, because samples are drawn from
 * all.
 */
export const MOST_ROWS = 2 ** 22;
export const MOST_TEXT_UNITS = 2 ** 30;
/** Maximum number of line breaks of a file, which can exceed the rows because of empty lines and multi-line cells. */
const MOST_LINES = 2 ** 24;
/** Maximum bytes of a column in a row group, and of one page of it: both are held in memory. */
const MOST_COLUMN_BYTES = 2 ** 30;
const MOST_PAGE_BYTES = 2 ** 28;

/** The message about a file with more than `most`. */
export function tooMuch(path: string, most: string): string {
  return `${path} has more than ${most}, which are the most that one file may hold: give a part of it`;
}

/** Rows of a data file with their numbers, from 0; a row is whatever its line or record holds. */
export type Rows = AsyncGenerator<readonly [row: number, value: unknown]>;

/** Whether a column is read, by its name; formats that store rows whole read all. */
export type WantsColumn = (name: string) => boolean;

const readers: Readonly<Record<string, (path: string, wants: WantsColumn) => Rows>> = {
  ".jsonl": (path) => jsonLines(path, opened(path)),
  ".jsonl.gz": (path) => jsonLines(path, opened(path, createGunzip())),
  ".csv": (path) => csvRows(path, opened(path)),
  ".csv.gz": (path) => csvRows(path, opened(path, createGunzip())),
  ".parquet": parquetRows,
};

/**
 * The rows of a file by the format that its name says, of tables of columns only those that are wanted; all where it has
 * none of these, so that a message can name them. Throws `DataFileError` naming the row, while rows are read.
 */
export function rowsOf(path: string, wants: WantsColumn): Rows {
  const ending = dataFileEndings.toReversed().find((candidate) => path.toLowerCase().endsWith(candidate));
  const reader = ending === undefined ? undefined : readers[ending];
  if (reader === undefined)
    throw new DataFileError(
      `${path} is not a data file that can be read; expected one ending in ${dataFileEndings.join(", ")}`,
    );
  return reader(path, wants);
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

/** Reads one row group at a time, and only the wanted columns: tables with many columns and gigabytes are usual. */
async function* parquetRows(path: string, wants: WantsColumn): Rows {
  try {
    await (await openData(path)).close();
    // Large, and few commands read Parquet.
    const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import("hyparquet");
    const bounded = boundedCompressors((await import("hyparquet-compressors")).compressors);
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    const wanted = columns.filter(wants);
    const asked = wanted.length > 0 ? { columns: wanted } : {};
    const rowCount = metadata.row_groups.reduce((sum, group) => sum + group.num_rows, 0n);
    if (rowCount > MOST_ROWS) throw new DataFileError(tooMuch(path, `${MOST_ROWS} rows`));
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      checkGroup(path, group, asked.columns);
      const rowEnd = rowStart + Number(group.num_rows);
      const rows = await parquetReadObjects({
        file,
        metadata,
        compressors: bounded,
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
function boundedCompressors(all: typeof compressors): typeof compressors {
  return Object.fromEntries(
    Object.entries(all).map(([name, decompress]) => [
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
