import { z } from "zod";
import { Pacer } from "../../common/pacer.ts";
import { DataFileError, MOST_ROWS, MOST_TEXT_UNITS, rowsOf, tooMuch } from "./rows.ts";

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
  for await (const [row, value] of rowsOf(path, (name) => name === field)) {
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
