import { Pacer } from "../../common/pacer.ts";
import {
  type Preference,
  type PreferenceFault,
  type PreferenceRule,
  preferenceFaults,
  preferenceOf,
} from "../../tasks/pairs/preference-rows.ts";
import { DataFileError, MOST_ROWS, MOST_TEXT_UNITS, rowsOf, tooMuch } from "./rows.ts";

/** A pair of a preference file. */
export interface PreferenceRecord {
  /** Its row, from 0. */
  readonly row: number;
  readonly rule: PreferenceRule;
  readonly preference: Preference;
}

/** What a preference file holds. */
export interface PreferenceRows {
  readonly rows: number;
  readonly pairs: readonly PreferenceRecord[];
  /** Rows that give no pair, by reason. */
  readonly faults: Partial<Readonly<Record<PreferenceFault, number>>>;
  /** Characters of all pairs. */
  readonly units: number;
}

/** No row of a preference file gives a pair. */
export class NoPairsError extends DataFileError {}

/**
 * The pairs of a preference file, in file order, in any layout that `preferenceOf` splits; rows that give no pair are
 * counted by reason. Throws `DataFileError` naming the row, `NoPairsError`, and, on abort, the signal's reason after at
 * most one block of rows.
 */
export async function readPreferences(
  path: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<PreferenceRows> {
  const pairs: PreferenceRecord[] = [];
  const faults: Partial<Record<PreferenceFault, number>> = {};
  const pacer = new Pacer(signal);
  let [rows, units, columns] = [0, 0, ""];
  for await (const [row, value] of rowsOf(path, isOfPreferences)) {
    if (rows === 0) columns = Object.keys(Object(value)).slice(0, 8).join(", ");
    rows += 1;
    if (rows > MOST_ROWS) throw new DataFileError(tooMuch(path, `${MOST_ROWS} rows`));
    const read = preferenceOf(value);
    if (read.kind === "fault") faults[read.fault] = (faults[read.fault] ?? 0) + 1;
    else {
      units += unitsOf(read.preference);
      if (units > MOST_TEXT_UNITS) throw new DataFileError(tooMuch(path, `${MOST_TEXT_UNITS} characters of text`));
      pairs.push({ row, rule: read.rule, preference: read.preference });
    }
    await pacer.pause();
  }
  if (rows === 0) throw new DataFileError(`${path} holds no rows`);
  if (pairs.length === 0) throw noPairs(path, rows, faults, columns);
  return { rows, pairs, faults, units };
}

/** Counts by reason in words, the most frequent first. */
export function faultsInWords(faults: PreferenceRows["faults"]): string[] {
  const names = Object.keys(preferenceFaults) as PreferenceFault[];
  return names
    .flatMap((name) => ((faults[name] ?? 0) > 0 ? [{ name, count: faults[name] ?? 0 }] : []))
    .toSorted((a, b) => b.count - a.count)
    .map(({ name, count }) => `${count} ${count === 1 ? "row" : "rows"}: ${preferenceFaults[name]}`);
}

/** The columns that decide how a row is split: others, such as scores, are not read. */
export function isOfPreferences(name: string): boolean {
  return /^(?:prompt|tools|chat_template_kwargs|(?:chosen|rejected|answer|response|completion)(?:_?\d+)?)$/.test(name);
}

function unitsOf(preference: Preference): number {
  const { prompt, chosen, rejected } = preference;
  const units = (part: string | readonly { readonly content: string }[]): number =>
    typeof part === "string" ? part.length : part.reduce((sum, { content }) => sum + content.length, 0);
  return units(prompt) + units(chosen) + units(rejected);
}

function noPairs(path: string, rows: number, faults: PreferenceRows["faults"], columns: string): NoPairsError {
  const fields = columns === "" ? "" : ` Its first row has the fields ${columns}.`;
  return new NoPairsError(
    `none of the ${rows} rows of ${path} gives a pair of answers (${faultsInWords(faults).join("; ")}).${fields} ` +
      "Expected rows with chosen and rejected, and prompt where both do not begin with it: docs/experiment.md, Preferences.",
  );
}
