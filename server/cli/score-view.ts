/** Shows tokens' numbers to people: as coloured text, or a table. */
import { visible } from "../common/untrusted-text.ts";

/** A token to show. */
export interface ShownToken {
  /** UTF-16 units of the document. */
  readonly start: number;
  readonly text: string;
  /** The value that determines its colour; null: none. */
  readonly value: number | null;
  /** Whether the value is an extrapolation. */
  readonly isFaded: boolean;
  /** One number or word per column of the table. */
  readonly cells: readonly (number | string | null)[];
}

export interface ViewOptions {
  /** The meaning of the colours. */
  readonly legend: string;
  /** The value of the strongest colour. */
  readonly limit: number;
  /** Whether values may be negative. */
  readonly isSigned: boolean;
  /** Names of the table's columns. */
  readonly columns: readonly string[];
  /** Maximum number of tokens to show. */
  readonly rows: number;
}

/**
 * Background colours of the terminal's 256, from weak to strong, orange for negative and blue for positive values,
 * which colour-blind people can tell apart.
 */
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

/** A table with one token per line. */
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
      cells.map((value) => (typeof value === "number" ? value.toFixed(3) : (value ?? ""))),
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

/** Colours the background of a text; for an extrapolation, underlines it if the value is strong. */
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
