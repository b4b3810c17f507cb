/** Pages of the feature table: filters, full-text search and order as one statement. */
import type { SQLInputValue } from "node:sqlite";
import { z } from "zod";
import type { FeatureId } from "../protocol/ablation.ts";
import type { FeatureQuery, FeatureRow, Neighbours } from "../protocol/features.ts";
import { idOfNumber, numberOfId, spaceOf } from "./feature-number.ts";
import { rowOf } from "./read.ts";
import { allRows, featureRowSchema, numberOf, type Statements } from "./rows.ts";
import { matchesOf, meantBy, parseSearch, searchWeights } from "./search.ts";

/** The rows to show from `offset` on, and the number of all matches. */
export function queryFeatures(
  statements: Statements,
  query: FeatureQuery,
  { offset, count }: { readonly offset: number; readonly count: number },
): { total: number; rows: FeatureRow[] } {
  const { sql, given } = totalStatement(query);
  const total = numberOf(statements.get(sql), ...given);
  if (total <= offset) return { total, rows: [] };
  const page = pageStatement(query, total);
  const rows = allRows(statements.get(page.sql), featureRowSchema, ...page.given, count, offset);
  const ids = rows.map(({ id }) => id);
  const matches = matchesOf(statements, parseSearch(query.search), ids);
  return { total, rows: rows.map((row) => ({ ...rowOf(statements, row), matches: [...(matches.get(row.id) ?? [])] })) };
}

/** The features before and after one in the order of a query, and its place among all matches. */
export function neighboursOf(statements: Statements, query: FeatureQuery, id: FeatureId): Neighbours {
  const number = numberOfId(id);
  const count = totalStatement(query);
  const total = numberOf(statements.get(count.sql), ...count.given);
  const { sql, given } = pageStatement(query, total, "f.id AS id");
  const ids = allRows(statements.get(sql), idSchema, ...given, total, 0).map((row) => row.id);
  const at = number === undefined ? -1 : ids.indexOf(number);
  if (at < 0) return { at: null, total, previous: null, next: null };
  const named = (other: number | undefined): FeatureId | null => (other === undefined ? null : idOfNumber(other));
  return { at, total, previous: named(at === 0 ? undefined : ids[at - 1]), next: named(ids[at + 1]) };
}

const idSchema = z.object({ id: z.int() });

interface Statement {
  readonly sql: string;
  readonly given: readonly SQLInputValue[];
}

/** The statement that counts the matching features. */
function totalStatement(query: FeatureQuery): Statement {
  const { from, where, given } = conditions(query, searchFirst);
  return { sql: `SELECT count(*) AS n FROM ${from} WHERE ${where}`, given };
}

/**
 * The statement for a page of some columns, given the `total` number of matches; its last parameters are limit and
 * offset.
 */
export function pageStatement(query: FeatureQuery, total: number, columns = "f.*"): Statement {
  const { match } = parseSearch(query.search);
  if (query.sort === "match" && match !== undefined) {
    const { from, where, given } = conditions(query, searchFirst);
    const meant = "f.id IN (SELECT rowid FROM search WHERE search MATCH ?)";
    const by = `${meant} DESC, bm25(search, ${searchWeights}), abs(f.contribution) DESC, f.id`;
    return {
      sql: `SELECT ${columns} FROM ${from} WHERE ${where} ORDER BY ${by} LIMIT ? OFFSET ?`,
      given: [...given, meantBy(match)],
    };
  }
  const { from, where, given } = conditions(query, isIndexed(query) && total > few ? searchLooked : searchFirst);
  return { sql: `SELECT ${columns} FROM ${from} WHERE ${where} ORDER BY ${order(query)} LIMIT ? OFFSET ?`, given };
}

/** Up to this many matches, sorting them is faster than scanning an index over all features. */
const few = 10_000;

/** Full-text search as parts of a statement. */
interface Search {
  readonly from: string;
  readonly where: string;
}

/** Reads the search index once and looks each feature up: the fastest way to visit all matches. */
const searchFirst: Search = {
  from: "search CROSS JOIN features AS f ON f.id = search.rowid",
  where: "search MATCH ?",
};

/** Scans an index in the requested order, and stops when the page is full: half the time where most features match. */
const searchLooked: Search = {
  from: "features AS f",
  where: "f.id IN (SELECT rowid FROM search WHERE search MATCH ?)",
};

/** Whether an order has an index, see schema.ts. */
function isIndexed({ sort, descending }: FeatureQuery): boolean {
  return descending && (sort === "contribution" || sort === "match" || sort === "density");
}

interface Conditions {
  readonly from: string;
  readonly where: string;
  readonly given: readonly SQLInputValue[];
}

function conditions(query: FeatureQuery, way: Search): Conditions {
  const { search, dictionary, layers, relevant, pinned, label, annotated, includeDead, sort } = query;
  const parts: [sql: string, ...given: SQLInputValue[]][] = [["f.space = ?", spaceOf(dictionary)]];
  // The plus excludes the index on density, so that SQLite can use the one on the order.
  if (!includeDead) parts.push([sort === "density" ? "f.density > 0" : "+f.density > 0"]);
  if (layers.length > 0) parts.push([`f.layer IN (${layers.map(() => "?").join()})`, ...layers]);
  if (relevant !== null) parts.push(["f.relevant = ?", Number(relevant)]);
  if (pinned) parts.push(["f.pinned = 1"]);
  if (label !== null) parts.push(["f.id IN (SELECT feature FROM labels WHERE label = ?)", label]);
  if (annotated)
    parts.push(["f.id IN (SELECT feature FROM labels UNION SELECT feature FROM notes UNION SELECT feature FROM pins)"]);
  const { id, conditions: limits, match } = parseSearch(search);
  if (id !== undefined) parts.push(["f.id = ?", id]);
  for (const [sql, ...given] of limits) parts.push([sql, ...given]);
  if (match !== undefined) parts.push([way.where, match]);
  return {
    from: match !== undefined ? way.from : "features AS f",
    where: parts.map(([sql]) => sql).join(" AND "),
    given: parts.flatMap(([, ...values]) => values),
  };
}

/**
 * The order of rows: signed numbers by absolute value, but attributions by value, as both ends are of interest. Ties
 * and features without the number are ordered by id.
 */
function order({ sort, descending }: FeatureQuery): string {
  const columns = {
    match: "abs(f.contribution)",
    id: "f.layer, f.feature",
    density: "f.density",
    maxActivation: "f.max_activation",
    probeWeight: "abs(f.probe_weight)",
    contribution: "abs(f.contribution)",
    twin: "f.twin_cosine",
    score: "f.score",
    ablation: "abs(f.ablation)",
    attribution: "f.attribution",
  } satisfies Record<FeatureQuery["sort"], string>;
  // A search without words matches nothing better or worse: the largest contributions come first.
  if (sort === "match") return `${columns.match} DESC, f.id DESC`;
  if (sort === "id") return descending ? "f.layer DESC, f.feature DESC" : columns.id;
  // In descending order NULLs come last by default, and SQLite can use an index on the column.
  return descending ? `${columns[sort]} DESC, f.id DESC` : `${columns[sort]} ASC NULLS LAST, f.id`;
}

/** Labels in use, the most frequent first. */
export function labelsInUse(statements: Statements): { label: string; features: number }[] {
  const sql = "SELECT label, count(*) AS features FROM labels GROUP BY label ORDER BY features DESC, label";
  return allRows(statements.get(sql), z.object({ label: z.string(), features: z.int() }));
}
