/** Numbers of tokens for people: the text itself, coloured, or a table. */
import { visible } from "../common/untrusted-text.ts";

/** A token as it is shown. */
export interface ShownToken {
  /** UTF-16 units of the document. */
  readonly start: number;
  readonly text: string;
  /** What colours it; null: nothing. */
  readonly value: number | null;
  /** Whether the value is an extrapolation. */
  readonly isFaded: boolean;
  /** A number a column of the table. */
  readonly cells: readonly (number | null)[];
}

export interface ViewOptions {
  /** What colours mean. */
  readonly legend: string;
  /** The value at which colours are full. */
  readonly limit: number;
  /** Whether values may lie below zero. */
  readonly isSigned: boolean;
  /** Names of the table's columns. */
  readonly columns: readonly string[];
  /** The most tokens to show. */
  readonly rows: number;
}

/** Backgrounds of the terminal's 256 colours from weak to strong, orange below zero and blue above: told apart by colour-blind eyes too. */
const below = [223, 216, 209, 202] as const;
const above = [153, 117, 75, 33] as const;

/** The text of passages with its tokens coloured. */
export function colouredText(passages: readonly (readonly ShownToken[])[], options: ViewOptions): string {
  const { legend, limit, isSigned, rows } = options;
  const { shown, hidden } = firstTokens(passages, rows);
  const sample = (value: number): string => paint(` ${value.toFixed(1)} `, value, limit);
  const shares = isSigned ? [-1, -0.6, -0.3, 0, 0.3, 0.6, 1] : [0, 0.3, 0.6, 1];
  const texts = shown.map((tokens) =>
    tokens.map(({ text, value, isFaded }) => paint(visible(text), value ?? 0, limit, isFaded)).join(""),
  );
  const samples = shares.map((share) => sample(share * limit)).join("");
  return [`${legend}: ${samples}`, "", texts.join("\n\n"), "", ...more(hidden)].join("\n");
}

/** One token a line with its numbers. */
export function tokenTable(
  passages: readonly (readonly ShownToken[])[],
  { columns, rows }: Pick<ViewOptions, "columns" | "rows">,
): string {
  const { shown, hidden } = firstTokens(passages, rows);
  const tokens = shown.flat();
  if (tokens.length === 0) return "";
  const labels = tokens.map(({ text }) => visible(JSON.stringify(text)));
  const width = Math.max(5, ...labels.map((label) => label.length)) + 2;
  const line = (start: string, label: string, values: readonly string[]): string =>
    `${start.padStart(8)}  ${label.padEnd(width)}${values.map((value, at) => value.padStart(Math.max(6, columns[at]?.length ?? 0) + 4)).join("")}`.trimEnd();
  const lines = tokens.map(({ start, cells }, at) =>
    line(
      `${start}`,
      labels[at] ?? "",
      cells.map((value) => (value === null ? "" : value.toFixed(3))),
    ),
  );
  return [line("offset", "token", columns), ...lines, ...more(hidden)].join("\n");
}

function firstTokens(
  passages: readonly (readonly ShownToken[])[],
  rows: number,
): { shown: (readonly ShownToken[])[]; hidden: number } {
  const shown: (readonly ShownToken[])[] = [];
  let left = rows;
  for (const tokens of passages) {
    if (left > 0 && tokens.length > 0) shown.push(tokens.slice(0, left));
    left -= tokens.length;
  }
  return { shown, hidden: Math.max(0, -left) };
}

function more(hidden: number): string[] {
  return hidden === 0 ? [] : [`... and ${hidden} tokens more: --rows N shows more, --out FILE writes all`];
}

/** Behind the text; where the value is an extrapolation, a line below it if it is strong, and nothing otherwise. */
function paint(text: string, value: number, limit: number, isFaded = false): string {
  const share = Math.min(1, Math.abs(value) / limit);
  // The weakest eighth stays plain.
  if (share < 1 / 8 || (isFaded && share < FADED_FROM)) return text;
  const colours = value < 0 ? below : above;
  const colour = colours[Math.min(colours.length - 1, Math.floor(share * colours.length))];
  // A coloured line break would paint the rest of the line.
  return text
    .split("\n")
    .map((part) => (part === "" ? "" : `\u001b[${isFaded ? `4;38;5;${colour}` : `30;48;5;${colour}`}m${part}\u001b[0m`))
    .join("\n");
}

const FADED_FROM = 0.6;
