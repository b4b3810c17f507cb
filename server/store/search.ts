/** What people type to find features: words, parts of an id, and conditions on numbers. */
import type { SQLInputValue } from "node:sqlite";
import { z } from "zod";
import type { FeatureMatch } from "../protocol/features.ts";
import { numberOfId } from "./feature-number.ts";
import { allRows, type Statements } from "./rows.ts";

/** A search taken apart. All parts must hold. */
export interface ParsedSearch {
  /** The feature whose full id is the search; nothing else is set then. */
  readonly id: number | undefined;
  /** Conditions on columns of `features AS f`, with their parameters. */
  readonly conditions: readonly (readonly [sql: string, ...given: SQLInputValue[]])[];
  /** Query for the search index: all words, the last as a prefix; undefined without a word. */
  readonly match: string | undefined;
  /** The same for any of the words; for finding out where they are. */
  readonly any: string | undefined;
}

/** Columns by the names that people type. */
const columns: Readonly<Record<string, string>> = {
  density: "f.density",
  activation: "f.max_activation",
  max: "f.max_activation",
  weight: "f.probe_weight",
  contribution: "f.contribution",
  attribution: "f.attribution",
  twin: "f.twin_cosine",
  score: "f.score",
  ablation: "f.ablation",
  layer: "f.layer",
};

const condition = new RegExp(
  `(?<!\\S)(${Object.keys(columns).join("|")})\\s*(<=|>=|<|>|=)\\s*([-−+]?\\d*\\.?\\d+)(%?)(?!\\S)`,
  "gi",
);
/** A part of an id: `F11` in any layer, `L4`. */
const idPart = /(?<!\S)([LF])(\d{1,6})(?!\S)/gi;

/**
 * Takes a search apart: `density<1% F11 great` are the features 11 that are active on less than 1 % of tokens and
 * have a word that begins with "great".
 */
export function parseSearch(search: string): ParsedSearch {
  const text = search.trim();
  const id = numberOfId(text) ?? numberOfId(text.toUpperCase());
  if (id !== undefined) return { id, conditions: [], match: undefined, any: undefined };
  const conditions: (readonly [string, ...SQLInputValue[]])[] = [];
  const words = text
    .replaceAll(condition, (_, name: string, operator: string, digits: string, percent: string) => {
      const value = Number(digits.replace("−", "-")) / (percent === "" ? 1 : 100);
      conditions.push([`${columns[name.toLowerCase()]} ${operator} ?`, value]);
      return " ";
    })
    .replaceAll(idPart, (_, letter: string, digits: string) => {
      conditions.push([letter.toUpperCase() === "L" ? "f.layer = ?" : "f.feature = ?", Number(digits)]);
      return " ";
    });
  return { id: undefined, conditions, match: matchOf(words), any: anyOf(words) };
}

/**
 * Converts the user's text to an FTS5 query: all words, the last as a prefix. Every word is quoted, so none acts as an
 * operator. Undefined for a text without a word.
 */
export function matchOf(search: string): string | undefined {
  const words = quoted(search);
  return words.length === 0 ? undefined : words.join(" ");
}

function anyOf(search: string): string | undefined {
  const words = quoted(search);
  return words.length === 0 ? undefined : words.join(" OR ");
}

function quoted(search: string): string[] {
  const words = search.match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];
  return words.map((word, at) => `"${word}"${at === words.length - 1 ? "*" : ""}`);
}

/** The columns of the search index in the order in which a match counts, with their weights for BM25. */
export const searchColumns = ["explanation", "labels", "note", "examples"] as const satisfies FeatureMatch[];
export const searchWeights = "10, 10, 5, 1";

/** Query for features whose label or explanation has all the words, which count before all others. */
export function meantBy(match: string): string {
  return `{explanation labels} : (${match})`;
}

/** Where the words of a search are, for some features: the columns that have any of them. */
export function matchesOf(
  statements: Statements,
  { id, any }: ParsedSearch,
  features: readonly number[],
): ReadonlyMap<number, readonly FeatureMatch[]> {
  const found = new Map<number, FeatureMatch[]>();
  if (id !== undefined) return new Map([[id, ["id"]]]);
  if (any === undefined) return found;
  const statement = statements.get(
    "SELECT rowid AS n FROM search WHERE search MATCH ? AND rowid IN (SELECT value FROM json_each(?))",
  );
  for (const column of searchColumns)
    for (const { n } of allRows(statement, matchSchema, `{${column}} : (${any})`, JSON.stringify(features)))
      found.set(n, [...(found.get(n) ?? []), column]);
  return found;
}

const matchSchema = z.object({ n: z.int() });
