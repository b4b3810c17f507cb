/** A chart as files: a table of its numbers, and a picture that stands by itself. */
import { short } from "../../drawing/format.ts";
import { scaleOf } from "../../drawing/scale.ts";
import { csvCell } from "../../server/protocol/csv.ts";
import type { Chart, Curve } from "./series.ts";

/** All numbers of the curves, a line per step; of a band its two edges. */
export function csvOf({ x, xs, curves }: Pick<Chart, "x" | "xs" | "curves">): string {
  const columns = curves.flatMap(({ name, values, low, high }) => [
    { name, values },
    ...(low === undefined ? [] : [{ name: `${name}, low`, values: low }]),
    ...(high === undefined ? [] : [{ name: `${name}, high`, values: high }]),
  ]);
  const head = [x, ...columns.map(({ name }) => name)].map(csvCell);
  const rows = xs.map((value, at) => [value, ...columns.map(({ values }) => values[at] ?? null)].map(csvCell));
  return `${[head, ...rows].map((row) => row.join(",")).join("\n")}\n`;
}

/** The theme's colours, as CSS writes them. */
export interface Colours {
  readonly ground: string;
  readonly text: string;
  readonly grid: string;
  /** One for each curve of the chart. */
  readonly curves: readonly string[];
}

/** A curve with its place in the chart, which determines colour and dashes. */
export interface PlacedCurve {
  readonly curve: Curve;
  readonly at: number;
}

const dashes = [[], [7, 3], [2, 3], [10, 3, 2, 3]] as const;

/** Number of colours that curves take in turn. */
export const CURVE_COLOURS = 4;

/** The dashes of the curve at a place: of every colour's curves each has its own, up to sixteen curves. */
export function dashesAt(at: number): readonly number[] {
  return dashes[(at + Math.floor(at / CURVE_COLOURS)) % dashes.length] ?? [];
}

const KEYS_A_LINE = 3;

const size = { width: 640, height: 320, left: 62, right: 12, top: 44, bottom: 44 };

/** The chart as an SVG file. */
export function svgOf(
  { title, x, xs, spansGaps = false }: Chart,
  shown: readonly PlacedCurve[],
  colours: Colours,
): string {
  const { width, left, right, bottom } = size;
  // The key's lines after the first.
  const keyHeight = 16 * Math.max(0, Math.ceil(shown.length / KEYS_A_LINE) - 1);
  const [top, height] = [size.top + keyHeight, size.height + keyHeight];
  const values = shown.flatMap(({ curve }) =>
    [curve.values, curve.low ?? [], curve.high ?? []].flatMap((list) => list.filter((value) => value !== null)),
  );
  const across = scaleOf(xs, { start: left, end: width - right, ticks: 6 });
  const up = scaleOf(values, { start: height - bottom, end: top });
  const place = (value: number, step: number): string => `${across.at(step).toFixed(1)},${up.at(value).toFixed(1)}`;
  const colourOf = (at: number): string => colours.curves[at % colours.curves.length] ?? colours.text;
  const line = ({ curve, at }: PlacedCurve): string =>
    linesOf(curve.values, xs, spansGaps)
      .map(
        (points) =>
          `<polyline fill="none" stroke="${colourOf(at)}" stroke-width="1.5"${dashOf(at)} points="${points.map(({ value, step }) => place(value, step)).join(" ")}"/>`,
      )
      .join("");
  const band = ({ curve: { low, high }, at }: PlacedCurve): string => {
    if (low === undefined || high === undefined) return "";
    const edge = (list: readonly (number | null)[]): string[] =>
      list.flatMap((value, index) => (value === null ? [] : [place(value, xs[index] ?? index)]));
    return `<polygon fill="${colourOf(at)}" fill-opacity="0.15" points="${[...edge(high), ...edge(low).reverse()].join(" ")}"/>`;
  };
  const text = (words: string, at: string, more = ""): string =>
    `<text ${at} fill="${colours.text}" font-family="sans-serif" font-size="11"${more}>${escaped(words)}</text>`;
  const key = shown.map(({ curve, at }, index) => {
    const [x1, y] = [left + 190 * (index % KEYS_A_LINE), 30 + 16 * Math.floor(index / KEYS_A_LINE)];
    return `<line x1="${x1}" x2="${x1 + 18}" y1="${y}" y2="${y}" stroke="${colourOf(at)}" stroke-width="2"${dashOf(at)}/>${text(curve.name, `x="${x1 + 23}" y="${y + 4}"`)}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="100%" height="100%" fill="${colours.ground}"/>`,
    text(title, `x="${left}" y="16"`, ' font-weight="600"'),
    ...up.ticks.map(
      (tick) =>
        `<line x1="${left}" x2="${width - right}" y1="${up.at(tick)}" y2="${up.at(tick)}" stroke="${colours.grid}"/>${text(short(tick), `x="${left - 6}" y="${up.at(tick) + 4}"`, ' text-anchor="end"')}`,
    ),
    ...across.ticks
      .filter((tick) => tick >= across.from && tick <= across.to)
      .map((tick) => text(short(tick), `x="${across.at(tick)}" y="${height - bottom + 16}"`, ' text-anchor="middle"')),
    text(x, `x="${(left + width - right) / 2}" y="${height - 10}"`, ' text-anchor="middle"'),
    ...shown.map(band),
    ...shown.map(line),
    ...(shown.length > 1 ? key : []),
    "</svg>",
  ].join("\n");
}

/** Stretches without gaps, or one over them. */
function linesOf(
  values: readonly (number | null)[],
  xs: readonly number[],
  spansGaps: boolean,
): { readonly value: number; readonly step: number }[][] {
  const found: { value: number; step: number }[][] = [[]];
  for (const [at, value] of values.entries()) {
    if (value === null) {
      if (!spansGaps) found.push([]);
    } else found.at(-1)?.push({ value, step: xs[at] ?? at });
  }
  return found.filter((points) => points.length > 0);
}

function dashOf(at: number): string {
  const dash = dashesAt(at);
  return dash.length === 0 ? "" : ` stroke-dasharray="${dash.join(" ")}"`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
