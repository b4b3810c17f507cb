import { Pacer } from "../../common/pacer.ts";
import { loadChatTemplate } from "../../models/chat-template.ts";
import { loadTokenizer } from "../../models/tokenizer.ts";
import type { PairTokensConfig } from "../../tuning/pair-tokens-config.ts";
import { isOfPreferences } from "../data/preferences.ts";
import { DataFileError, rowsOf } from "../data/rows.ts";
import { type InspectedRow, inspectRow, type PairReader } from "./inspect-row.ts";
import { count, noTotals, type PairTotals } from "./totals.ts";

/** Rows from `first` to `last`, both included, from 0. */
export interface RowRange {
  readonly first: number;
  readonly last: number;
}

export interface InspectedFile {
  readonly totals: PairTotals;
  /** The rows that were asked for; none if no range was given. */
  readonly rows: readonly InspectedRow[];
}

/** The range has no row of the file. */
export class NoSuchRowError extends DataFileError {}

/** Tokenizer and chat template of a model's folder. Throws what `loadTokenizer` and `loadChatTemplate` throw. */
export async function openPairReader(folder: string): Promise<PairReader> {
  return { tokenizer: await loadTokenizer(folder), template: await loadChatTemplate(folder) };
}

/**
 * Inspects a preference file: counts all rows, or keeps and counts those of a range. Throws `NoSuchRowError`,
 * `DataFileError` naming the row, what `inspectRow` throws, and the signal's reason on abort.
 */
export async function inspectFile(
  path: string,
  reader: PairReader,
  tokens: PairTokensConfig,
  { range, signal }: { readonly range?: RowRange | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<InspectedFile> {
  const totals = noTotals();
  const rows: InspectedRow[] = [];
  const pacer = new Pacer(signal);
  let seen = 0;
  for await (const [row, value] of rowsOf(path, isOfPreferences)) {
    seen = row + 1;
    if (range !== undefined && row < range.first) continue;
    if (range !== undefined && row > range.last) break;
    const inspected = inspectRow(row, value, reader, tokens);
    count(totals, inspected);
    if (range !== undefined) rows.push(inspected);
    await pacer.pause();
  }
  if (seen === 0) throw new DataFileError(`${path} holds no rows`);
  if (totals.rows === 0)
    throw new NoSuchRowError(`${path} has ${seen} rows, from 0 to ${seen - 1}; row ${range?.first} is none of them`);
  return { totals, rows };
}
