/** Token scores for people: the text itself, coloured, or a table. */
import type { ScoredDocumentToken, ScoredPassage } from "../lens/document.ts";
import { isUnfamiliar } from "../lens/familiarity.ts";
import { printable } from "./printable.ts";

export interface ViewOptions {
  /** What the values are, for the heading. */
  readonly mode: string;
  /** The value at which colours are full. */
  readonly limit: number;
  /** The most tokens to show. */
  readonly rows: number;
}

/** Backgrounds of the terminal's 256 colours from weak to strong, orange below zero and blue above: told apart by colour-blind eyes too. */
const below = [223, 216, 209, 202] as const;
const above = [153, 117, 75, 33] as const;

/** The text with its tokens coloured. */
export function colouredText(passages: readonly ScoredPassage[], { mode, limit, rows }: ViewOptions): string {
  const { shown, hidden } = firstTokens(passages, rows);
  const sample = (value: number): string => paint(` ${value.toFixed(1)} `, value, limit);
  const legend = `${mode}: ${[-1, -0.6, -0.3, 0, 0.3, 0.6, 1].map((share) => sample(share * limit)).join("")}`;
  const texts = shown.map((tokens) =>
    tokens
      .map(({ text, value, familiarity }) =>
        paint(printable(text), value ?? 0, limit, isProbes(mode) && isUnfamiliar(familiarity)),
      )
      .join(""),
  );
  return [legend, "", texts.join("\n\n"), "", ...more(hidden)].join("\n");
}

/** One token a line with its numbers. */
export function tokenTable(passages: readonly ScoredPassage[], { mode, rows }: ViewOptions): string {
  const { shown, hidden } = firstTokens(passages, rows);
  const tokens = shown.flat();
  if (tokens.length === 0) return "";
  const labels = tokens.map(({ text }) => JSON.stringify(printable(text)));
  const width = Math.max(5, ...labels.map((label) => label.length)) + 2;
  const isKnown = tokens.some(({ familiarity }) => familiarity !== null);
  const names = ["implicit", "true", ...(mode === "implicit" ? [] : [mode]), ...(isKnown ? ["familiarity"] : [])];
  const cells = ({ implicit, trueReward, familiarity, value }: ScoredDocumentToken): (number | null)[] => [
    ...(mode === "implicit" ? [value ?? implicit, trueReward] : [implicit, trueReward, value]),
    ...(isKnown ? [familiarity] : []),
  ];
  const line = (start: string, label: string, values: readonly string[]): string =>
    `${start.padStart(8)}  ${label.padEnd(width)}${values.map((value, at) => value.padStart((names[at]?.length ?? 0) + 4)).join("")}`.trimEnd();
  const lines = tokens.map((token, at) =>
    line(
      `${token.start}`,
      labels[at] ?? "",
      cells(token).map((value) => (value === null ? "" : value.toFixed(3))),
    ),
  );
  return [line("offset", "token", names), ...lines, ...more(hidden)].join("\n");
}

function firstTokens(
  passages: readonly ScoredPassage[],
  rows: number,
): { shown: (readonly ScoredDocumentToken[])[]; hidden: number } {
  const shown: (readonly ScoredDocumentToken[])[] = [];
  let left = rows;
  for (const { tokens } of passages) {
    if (left > 0 && tokens.length > 0) shown.push(tokens.slice(0, left));
    left -= tokens.length;
  }
  return { shown, hidden: Math.max(0, -left) };
}

function more(hidden: number): string[] {
  return hidden === 0 ? [] : [`... and ${hidden} tokens more: --rows N shows more, --out FILE writes all`];
}

/** Whether a mode's values are the probe's own output. */
function isProbes(mode: string): boolean {
  return mode !== "true" && mode !== "feature";
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
