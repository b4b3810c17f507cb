/** Describes figures in words, and as tables. */
import type { ReportFigure } from "../server/protocol/report.ts";
import { count, short } from "./format.ts";

/** Describes a figure, for readers who cannot see it. */
export function figureInWords(figure: ReportFigure): string {
  switch (figure.kind) {
    case "bars":
      return figure.groups.map(({ name, values }) => barsInWords(name, values, figure.categories)).join(" ");
    case "points":
      return figure.groups
        .map(({ name, points }) => {
          const r = correlation(points);
          return `${name}: ${count(points.length)} points${r === null ? "" : `, correlation ${short(r)}`}.`;
        })
        .join(" ");
    case "intervals":
      return figure.rows
        .map(({ label, value, low, high }) => `${label}: ${short(value)} (${short(low)} to ${short(high)}).`)
        .join(" ");
  }
}

function barsInWords(name: string, values: readonly (number | null)[], categories: readonly string[]): string {
  const bars = values.flatMap((value, at) => (value === null ? [] : [{ value, category: categories[at] ?? "" }]));
  const [first] = bars;
  if (first === undefined) return `${name}: none.`;
  const most = bars.reduce((a, b) => (b.value > a.value ? b : a));
  const least = bars.reduce((a, b) => (b.value < a.value ? b : a));
  if (bars.length === 1) return `${name}: ${short(first.value)} (${first.category}).`;
  return `${name}: from ${short(least.value)} (${least.category}) to ${short(most.value)} (${most.category}).`;
}

/** Pearson's correlation; null where it is undefined. */
export function correlation(points: readonly { readonly x: number; readonly y: number }[]): number | null {
  const mean = (of: (point: { readonly x: number; readonly y: number }) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [meanX, meanY] = [mean(({ x }) => x), mean(({ y }) => y)];
  const product = mean(({ x, y }) => (x - meanX) * (y - meanY));
  const size = Math.sqrt(mean(({ x }) => (x - meanX) ** 2) * mean(({ y }) => (y - meanY) ** 2));
  return size > 0 ? product / size : null;
}

export interface FigureTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/** All numbers of a figure, one row per category, point or interval. */
export function figureAsTable(figure: ReportFigure): FigureTable {
  switch (figure.kind) {
    case "bars":
      return {
        columns: [figure.x, ...figure.groups.map(({ name }) => name)],
        rows: figure.categories.map((category, at) => [
          category,
          ...figure.groups.map(({ values }) => values[at] ?? null),
        ]),
      };
    case "points":
      return {
        columns: ["group", "point", figure.x, figure.y],
        rows: figure.groups.flatMap(({ name, points }) => points.map(({ x, y, label }) => [name, label, x, y])),
      };
    case "intervals":
      return {
        columns: ["of", figure.x, "95 % low", "95 % high"],
        rows: figure.rows.map(({ label, value, low, high }) => [label, value, low, high]),
      };
  }
}
