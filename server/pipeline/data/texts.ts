import { createReadStream } from "node:fs";
import { pipeline, type Readable, Transform, type TransformCallback } from "node:stream";
import { createGunzip } from "node:zlib";
import { parse as parseCsv } from "csv-parse";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { z } from "zod";
import { LfpError, messageOf } from "../../common/errors.ts";
import { linesOf } from "../../common/lines.ts";
import { Pacer } from "../../common/pacer.ts";

/** One text of a data file. */
export interface TextRecord {
  /** Its row, from 0. */
  readonly row: number;
  readonly text: string;
}

export interface TextOptions {
  /** The field or column that holds the text. */
  readonly field: string;
  /** Rows to read at most. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** A data file that cannot be read as what its name says. */
export class DataFileError extends LfpError {
  readonly code = "input";
}

/** Endings of the files that `readTexts` reads. */
export const dataFileEndings: readonly string[] = [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"];

/** The texts of a file, in its order. Throws `DataFileError` naming the row, and the signal's reason within the time of a block of rows. */
export async function readTexts(
  path: string,
  { field, limit = Number.POSITIVE_INFINITY, signal }: TextOptions,
): Promise<TextRecord[]> {
  const texts: TextRecord[] = [];
  if (limit <= 0) return texts;
  const pacer = new Pacer(signal);
  for await (const [row, value] of rowsOf(path, field)) {
    texts.push({ row, text: textOf(value, field, `${path}, row ${row + 1}`) });
    if (texts.length >= limit) break;
    await pacer.pause();
  }
  if (texts.length === 0) throw new DataFileError(`${path} holds no rows`);
  return texts;
}

type Rows = AsyncGenerator<readonly [row: number, value: unknown]>;

const readers: Readonly<Record<string, (path: string, field: string) => Rows>> = {
  ".jsonl": (path) => jsonLines(path, inUtf8(createReadStream(path))),
  ".jsonl.gz": (path) => jsonLines(path, inUtf8(createReadStream(path), createGunzip())),
  ".csv": (path) => csvRows(path, inUtf8(createReadStream(path))),
  ".csv.gz": (path) => csvRows(path, inUtf8(createReadStream(path), createGunzip())),
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

async function* jsonLines(path: string, input: Readable): Rows {
  let row = 0;
  try {
    for await (const read of linesOf(input)) {
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
    return JSON.parse(line);
  } catch (cause) {
    throw new DataFileError(`${path}, line ${row + 1} is not JSON: ${messageOf(cause)}`, { cause });
  }
}

async function* csvRows(path: string, input: Readable): Rows {
  const failed = failureOf(input);
  const parser = parseCsv({
    columns: (header: string[]) => differentColumns(path, header),
    bom: true,
    relax_column_count: false,
    skip_empty_lines: true,
  });
  input.on("error", () => parser.end());
  input.pipe(parser);
  let row = 0;
  try {
    for await (const value of parser) yield [row++, value];
  } catch (cause) {
    if (cause instanceof DataFileError) throw cause;
    throw new DataFileError(`${path}, row ${row + 1} is not CSV: ${messageOf(cause)}`, { cause });
  }
  if (failed() !== undefined) throw unreadable(path, failed());
}

/** Of two columns with one name, the rows would have the last without a word. */
function differentColumns(path: string, header: string[]): string[] {
  const twice = header.find((name, at) => header.indexOf(name) !== at);
  if (twice === undefined) return header;
  throw new DataFileError(`${path} has two columns '${twice}': rename one, so that it is clear which is meant`);
}

/** A row group at a time, and of its columns the one that is asked for: tables of many columns and gigabytes are usual. */
async function* parquetRows(path: string, field: string): Rows {
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    // Without that column the first row tells which there are.
    const asked = columns.includes(field) ? { columns: [field] } : {};
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      const rows = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd, ...asked });
      for (const [at, value] of rows.entries()) yield [rowStart + at, value];
      rowStart = rowEnd;
    }
  } catch (cause) {
    throw new DataFileError(`${path} cannot be read as Parquet: ${messageOf(cause)}`, { cause });
  }
}

const record = z.record(z.string(), z.unknown());

function textOf(value: unknown, field: string, where: string): string {
  const parsed = record.safeParse(value);
  if (!parsed.success)
    throw new DataFileError(
      `${where} is ${String(JSON.stringify(value)).slice(0, 40)}; expected an object with a field '${field}'`,
    );
  const text = parsed.data[field];
  if (typeof text === "string") return text;
  if (Object.hasOwn(parsed.data, field))
    throw new DataFileError(
      `${where} has ${String(JSON.stringify(text)).slice(0, 40)} in field '${field}'; expected a text: leave the row out, or name another field with data.field`,
    );
  const fields = Object.keys(parsed.data).slice(0, 8).join(", ");
  throw new DataFileError(
    `${where} has no text in field '${field}' (it has ${fields}); name the field with data.field`,
  );
}

/** The text of some bytes, which fails where they are no UTF-8; an error of any of the streams reaches the last. */
function inUtf8(...streams: readonly [NodeJS.ReadableStream, ...NodeJS.ReadWriteStream[]]): Readable {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decode = (done: TransformCallback, bytes?: Uint8Array): void => {
    let text: string;
    try {
      text = decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      done(new Error("it is not UTF-8. Save it in that encoding"));
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

/** Streams report errors by event, and line readers do not pass them on. */
function failureOf(input: Readable): () => unknown {
  let failure: unknown;
  input.on("error", (error) => {
    failure = error;
  });
  return () => failure;
}
