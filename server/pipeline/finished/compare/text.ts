/** A comparison of runs as text for a terminal, at most 100 columns wide. */
import type { Finding, RunComparison } from "../../../protocol/comparison.ts";
import { titleOf } from "../../artifacts/headlines.ts";
import { figureInWords, findingsOverSeeds, NONE, seedsInWords } from "./words.ts";

const LINE = 100;
const GAP = "  ";
/** Maximum width of a setting's value: longer ones keep their end, which tells paths apart. */
const MOST_VALUE = 28;

/** Runs have letters, which head the columns; what does not fit beside one another stands in blocks below. */
export function comparisonText(comparison: RunComparison): string {
  const { runs, seedGroups, settings, findings, notes } = comparison;
  const letters = runs.map((_, at) => letterOf(at));
  const groups = seedGroups.map((group) => lettersOf(group));
  const settingRows = settings.map(({ name, values }) => ({ label: name, cells: values.map(valueCell) }));
  return [
    section("Runs", runLines(comparison)),
    section(
      "Before you compare",
      notes.flatMap((note) => wrapped(note)),
    ),
    section(
      "Differ by seed alone",
      groups.map((group) => `${GAP}${group}`),
    ),
    section("Settings that differ", settings.length === 0 ? [`${GAP}none`] : tableOf(letters, settingRows)),
    section(
      "Findings, with 95 % intervals within a run (↑ higher is better, ↓ lower)",
      findings.length === 0
        ? [`${GAP}none yet`]
        : tableOf(
            letters,
            findings.map((finding) => ({ label: marked(finding), cells: finding.values.map(figureInWords) })),
          ),
    ),
    section(
      "Between seeds: mean with 95 % interval (Student's t)",
      tableOf(
        groups,
        findingsOverSeeds(comparison).map((finding) => ({
          label: marked(finding),
          cells: finding.overSeeds.map((one, at) => seedsInWords(one, seedGroups[at]?.length ?? 0)),
        })),
      ),
    ),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** `A` to `Z`, then `AA`. */
export function letterOf(at: number): string {
  const last = String.fromCharCode("A".charCodeAt(0) + (at % 26));
  return at < 26 ? last : `${letterOf(Math.floor(at / 26) - 1)}${last}`;
}

/** The letters of a group, a stretch of neighbours by its ends: `A to C, F`. */
function lettersOf(group: readonly number[]): string {
  const stretches: number[][] = [];
  for (const at of group) {
    const last = stretches.at(-1);
    if (last !== undefined && last.at(-1) === at - 1) last.push(at);
    else stretches.push([at]);
  }
  return stretches
    .map((stretch) => {
      const [first, last] = [stretch[0] ?? 0, stretch.at(-1) ?? 0].map(letterOf);
      return stretch.length < 3 ? stretch.map(letterOf).join(", ") : `${first} to ${last}`;
    })
    .join(", ");
}

function runLines({ runs }: RunComparison): string[] {
  const width = Math.max(...runs.map(({ name }) => name.length));
  return runs.flatMap(({ name, seed, state, missing }, at) => [
    ...wrapped(`${letterOf(at)}  ${name.padEnd(width)}  ${seed === null ? "" : `seed ${seed}, `}${state}`),
    ...missing.flatMap((sentence) => wrapped(sentence, `${GAP}   `)),
  ]);
}

interface TableRow {
  readonly label: string;
  readonly cells: readonly string[];
}

/** Rows under column heads; columns that do not fit stand in further blocks, each with the labels of its rows. */
function tableOf(heads: readonly string[], rows: readonly TableRow[]): string[] {
  if (rows.length === 0) return [];
  const labels = Math.max(...rows.map(({ label }) => label.length));
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map(({ cells }) => cells[at]?.length ?? 0)));
  return blocksOf(widths, LINE - labels - 2 * GAP.length).flatMap((columns, block) => {
    const line = (label: string, cells: readonly string[]): string =>
      [`${GAP}${label.padEnd(labels)}`, ...columns.map((at) => (cells[at] ?? "").padEnd(widths[at] ?? 0))]
        .join(GAP)
        .trimEnd();
    const shown = rows.filter(({ cells }) => columns.some((at) => cells[at] !== NONE));
    return [...(block === 0 ? [] : [""]), line("", heads), ...shown.map(({ label, cells }) => line(label, cells))];
  });
}

/** The columns' indices, in stretches that fit a width; each has at least one. */
function blocksOf(widths: readonly number[], room: number): number[][] {
  const blocks: number[][] = [];
  let left = 0;
  for (const [at, width] of widths.entries()) {
    const last = blocks.at(-1);
    if (last !== undefined && left >= width) last.push(at);
    else {
      blocks.push([at]);
      left = room;
    }
    left -= width + GAP.length;
  }
  return blocks;
}

function marked(finding: Finding): string {
  const marks = { higher: "↑", lower: "↓" } as const;
  return `${finding.better === null ? " " : marks[finding.better]} ${titleOf(finding)}`;
}

function valueCell(value: string | null): string {
  if (value === null) return NONE;
  return value.length <= MOST_VALUE ? value : `…${value.slice(1 - MOST_VALUE)}`;
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : [title, ...lines].join("\n");
}

function wrapped(text: string, indent = GAP): string[] {
  const lines: string[] = [];
  for (const word of text.split(/(?<=\S) (?=\S)/)) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= LINE) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(`${indent}${line === undefined ? "" : GAP}${word}`);
  }
  return lines;
}
