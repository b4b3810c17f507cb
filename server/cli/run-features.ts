/** Shared by the commands about features: a run's store, ids, and untrusted text made safe for a terminal. */
import { resolve } from "node:path";
import { visible } from "../common/untrusted-text.ts";
import { livingStore } from "../pipeline/finished/living-store.ts";
import type { FeatureExample, FeatureExplanation, FeatureRow } from "../protocol/features.ts";
import { DamagedRowsError } from "../store/errors.ts";
import { FeatureStore } from "../store/store.ts";
import { existingRun } from "./status.ts";

/**
 * The feature store of a run, or the one in a file (`.sqlite`), which is opened read-only. Throws `NoRunError` and
 * `StoreError`.
 */
export async function openRunFeatures(run: string): Promise<FeatureStore> {
  if (isStoreFile(run)) return FeatureStore.openOutput(resolve(run));
  return FeatureStore.open(await livingStore(await existingRun(run)));
}

/** Notes that damaged rows were skipped, after the store was read. */
export function tellDamage({ damagedRows, path }: FeatureStore, note: (line: string) => void): void {
  if (damagedRows > 0) note(new DamagedRowsError(path, damagedRows).message);
}

/** Whether the argument is a feature store by itself, such as that of an earlier version of the bundled run. */
export function isStoreFile(run: string): boolean {
  return run.endsWith(".sqlite");
}

/** Formats numbers to three significant digits, integers whole. */
export function shown(value: number | null): string {
  if (value === null) return "–";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

/** A text on one line, in which nothing moves the cursor. */
export function oneLine(text: string): string {
  return visible(text).replaceAll("\n", "↵").replaceAll("\t", " ");
}

/** Formats columns as wide as their widest cell, with numbers right-aligned. */
export function asColumns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const isNumeric = head.map((_, at) => rows.every((row) => /^[-–\d.e+%]*$/.test(row[at] ?? "")));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (isNumeric[at] === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}

export function explanationLine({ text, explainer, score, relevance }: FeatureExplanation): string {
  const scored =
    score === null
      ? "not scored"
      : `${score.method} ${shown(score.value)}, ${shown(score.low)} to ${shown(score.high)}, ${score.windows} windows`;
  const relevant =
    relevance === null ? "" : relevance.relevant ? `; relevant to the task, ${relevance.polarity}` : "; not relevant";
  return `${oneLine(text)} (${explainer}; ${scored}${relevant})`;
}

/** The text around the peak, which is in brackets. */
export function exampleLine({ tokens, activations, peak }: FeatureExample): string {
  const part = (from: number, to: number): string => oneLine(tokens.slice(Math.max(0, from), to).join(""));
  return `${shown(activations[peak] ?? 0).padStart(6)}  ${part(peak - 12, peak)}[${part(peak, peak + 1)}]${part(peak + 1, peak + 6)}`;
}

export function rowCells(row: FeatureRow): string[] {
  return [
    `${row.pinned ? "*" : ""}${row.id}`,
    `${shown(100 * row.density)} %`,
    shown(row.maxActivation),
    shown(row.probeWeight),
    shown(row.contribution),
    shown(row.attribution),
    row.twin === null ? "–" : shown(row.twin.cosine),
    shown(row.ablation?.change ?? null),
    shown(row.explanation?.score?.value ?? null),
    shortened(oneLine(`${row.labels.map((label) => `[${label}] `).join("")}${row.explanation?.text ?? ""}`)),
  ];
}

function shortened(text: string): string {
  const characters = [...text];
  return characters.length <= 80 ? text : `${characters.slice(0, 79).join("")}…`;
}

export const rowHead = [
  "feature",
  "active",
  "max",
  "weight",
  "contribution",
  "attribution",
  "twin",
  "ablation",
  "score",
  "explanation",
] as const;
