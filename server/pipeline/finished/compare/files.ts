/** A comparison of runs as files: one CSV table with every number, and Markdown for people. */
import type { RunComparison } from "../../../protocol/comparison.ts";
import { csvCell } from "../../../protocol/csv.ts";
import { titleOf } from "../../artifacts/headlines.ts";
import { showCell } from "../../report/document.ts";
import { figureInWords, findingsOverSeeds, groupName, NONE, seedsInWords } from "./words.ts";

type CsvValue = string | number | null;

/**
 * One table (RFC 4180): a line per fact on the runs, per setting and per finding. Every run has its value and the ends
 * of its 95 % interval; every group of seeds its mean, standard deviation, number and the ends of the interval.
 */
export function comparisonCsv(comparison: RunComparison): string {
  const { runs, seedGroups, settings, findings } = comparison;
  const head = [
    ...["kind", "id", "name", "unit", "better"],
    ...runs.flatMap(({ name }) => [name, `${name}: low`, `${name}: high`]),
    ...seedGroups
      .map((group) => `seeds of ${groupName(comparison, group)}`)
      .flatMap((name) => ["mean", "sd", "n", "low", "high"].map((figure) => `${name}: ${figure}`)),
  ];
  const ofRuns = (values: readonly CsvValue[]): CsvValue[] => values.flatMap((value) => [value, null, null]);
  const rows: CsvValue[][] = [
    ["run", "folder", "folder", "", "", ...ofRuns(runs.map(({ folder }) => folder))],
    ["run", "seed", "seed", "", "", ...ofRuns(runs.map(({ seed }) => seed))],
    ["run", "state", "state", "", "", ...ofRuns(runs.map(({ state }) => state))],
    ["run", "missing", "missing", "", "", ...ofRuns(runs.map(({ missing }) => missing.join(" ")))],
    ...settings.map(({ name, values }) => ["setting", name, name, "", "", ...ofRuns(values)]),
    ...findings.map(({ id, name, unit, better, values, overSeeds }) => [
      ...["finding", id, name, unit, better],
      ...values.flatMap((one) => [one?.value ?? null, one?.low ?? null, one?.high ?? null]),
      ...overSeeds.flatMap((one) => [
        one?.mean ?? null,
        one?.sd ?? null,
        one?.count ?? null,
        one?.low ?? null,
        one?.high ?? null,
      ]),
    ]),
  ];
  const filled = rows.map((row) => [...row, ...Array.from({ length: head.length - row.length }, () => null)]);
  return `${[head, ...filled].map((row) => row.map(csvCell).join(",")).join("\n")}\n`;
}

/** Headed tables, with the runs as columns. */
export function comparisonMarkdown(comparison: RunComparison): string {
  const { runs, seedGroups, settings, findings, notes } = comparison;
  const names = runs.map(({ name }) => name);
  const missing = runs.flatMap((run) =>
    run.missing.map((sentence) => `- ${showCell(run.name)}: ${showCell(sentence)}`),
  );
  const over = findingsOverSeeds(comparison);
  return `${[
    ["# Runs compared"],
    table(
      ["run", "seed", "state", "folder"],
      runs.map(({ name, seed, state, folder }) => [name, seed === null ? NONE : String(seed), state, folder]),
    ),
    [...notes.map((note) => `- ${showCell(note)}`), ...missing],
    ["## Settings that differ"],
    settings.length === 0
      ? ["None."]
      : table(
          ["setting", ...names],
          settings.map(({ name, values }) => [name, ...values.map((value) => value ?? NONE)]),
        ),
    ["## Findings"],
    ["With 95 % intervals within a run."],
    table(
      ["finding", "better", ...names],
      findings.map((finding) => [titleOf(finding), finding.better ?? "", ...finding.values.map(figureInWords)]),
    ),
    ...(over.length === 0
      ? []
      : [
          ["## Between seeds"],
          ["Mean with 95 % interval by Student's t, over runs that differ by seed alone."],
          table(
            ["finding", "better", ...seedGroups.map((group) => groupName(comparison, group))],
            over.map((finding) => [
              titleOf(finding),
              finding.better ?? "",
              ...finding.overSeeds.map((one, at) => seedsInWords(one, seedGroups[at]?.length ?? 0)),
            ]),
          ),
        ]),
  ]
    .filter((part) => part.length > 0)
    .map((part) => part.join("\n"))
    .join("\n\n")}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(showCell).join(" | ")} |`;
  return [line(head), `|${" --- |".repeat(head.length)}`, ...rows.map(line)];
}
