/** A report's figures, drawn as elements of SVG. Colours come from classes, so that they follow the theme. */
import type { ReportFigure } from "../server/protocol/report.ts";
import { element, type SvgElement } from "./element.ts";
import { short } from "./format.ts";
import { type Scale, scaleOf } from "./scale.ts";

type FigureOf<Kind extends ReportFigure["kind"]> = Extract<ReportFigure, { kind: Kind }>;

export const width = 560;
/** Maximum number of points drawn per group; the data has all. */
const mostPoints = 3000;

export function heightOf(figure: ReportFigure): number {
  if (figure.kind === "intervals") return 50 + 24 * figure.rows.length;
  return figure.kind === "points" ? 340 : 260;
}

/** The looks of figures' classes, as a sheet of styles: colours are the variables of the page that shows them. */
export const figureStyles = `
  text { fill: var(--vscode-foreground); font: 11px var(--vscode-font-family); }
  .tick, .axis { fill: var(--lfp-dim); }
  .grid { stroke: var(--lfp-line); stroke-width: 1; stroke-opacity: var(--lfp-grid-opacity, 1); }
  .zero { stroke: var(--lfp-dim); stroke-width: 1; }
  .diagonal { stroke: var(--lfp-dim); stroke-width: 1; stroke-dasharray: 4 3; }
  .fill { fill-opacity: 0.75; }
  .fill.g0 { fill: rgb(var(--pos)); }
  .fill.g1 { fill: var(--lfp-dim); fill-opacity: 0.45; }
  .fill.g2 { fill: rgb(var(--neg)); }
  .mark { fill: none; stroke-width: 1.1; stroke-opacity: 0.75; }
  .mark.g0 { stroke: rgb(var(--pos)); }
  .mark.g1 { stroke: rgb(var(--neg)); }
  .mark.g2 { stroke: var(--vscode-charts-green); }
  .bar { stroke-width: 2; }
  .bar.positive { stroke: rgb(var(--pos)); }
  .bar.negative { stroke: rgb(var(--neg)); }
  .bar.control { stroke: var(--lfp-dim); }
  .dot.positive { fill: rgb(var(--pos)); }
  .dot.negative { fill: rgb(var(--neg)); }
  .dot.control { fill: var(--lfp-dim); }
`;

/** Draws a figure as what is inside an `svg`, `width` by `heightOf` pixels. */
export function drawFigure(figure: ReportFigure): SvgElement[] {
  switch (figure.kind) {
    case "bars":
      return drawBars(figure);
    case "points":
      return drawPoints(figure);
    case "intervals":
      return drawIntervals(figure);
  }
}

const left = 58;
const right = width - 10;

function drawBars(figure: FigureOf<"bars">): SvgElement[] {
  const bottom = heightOf(figure) - 62;
  const values = figure.groups.flatMap((group) => group.values.filter((value) => value !== null));
  const y = scaleOf(values, { start: bottom, end: 26, withZero: true });
  const slot = (right - left) / Math.max(1, figure.categories.length);
  const isCrowded = slot < 6.5 * Math.max(...figure.categories.map((category) => category.length));
  const label = (category: string, at: number): SvgElement => {
    const x = left + slot * (at + 0.5);
    const turned = `translate(${x + 3} ${bottom + 12}) rotate(-32)`;
    return isCrowded
      ? element("text", { class: "label", transform: turned, "text-anchor": "end" }, category)
      : element("text", { class: "label", x, y: bottom + 16, "text-anchor": "middle" }, category);
  };
  const bar = (value: number | null, category: number, group: number): SvgElement[] => {
    if (value === null) return [];
    const shown = figure.groups.map((other, at) => (other.values[category] == null ? -1 : at)).filter((at) => at >= 0);
    const each = (slot * 0.72) / shown.length;
    const x = left + slot * (category + 0.14) + each * shown.indexOf(group);
    const [top, foot] = [Math.min(y.at(value), y.at(0)), Math.max(y.at(value), y.at(0))];
    const place = { x, y: top, width: Math.max(1, each - 1), height: Math.max(0.5, foot - top) };
    const words = `${figure.categories[category]}, ${figure.groups[group]?.name}: ${short(value)}`;
    return [element("rect", { class: `fill g${group}`, ...place }, element("title", {}, words))];
  };
  return [
    ...gridY(y, figure.y, bottom),
    ...figure.groups.flatMap((group, g) => group.values.flatMap((value, c) => bar(value, c, g))),
    ...figure.categories.map(label),
    axisX(figure.x, (left + right) / 2, heightOf(figure) - 4),
    ...key(figure.groups, "square"),
  ];
}

function drawPoints(figure: FigureOf<"points">): SvgElement[] {
  const bottom = heightOf(figure) - 44;
  const all = figure.groups.flatMap(({ points }) => points);
  const x = scaleOf(
    all.map((point) => point.x),
    { start: left, end: right, ticks: 6 },
  );
  const y = scaleOf(
    all.map((point) => point.y),
    { start: bottom, end: 26 },
  );
  const [low, high] = [Math.max(x.from, y.from), Math.min(x.to, y.to)];
  const lines: SvgElement[] = [];
  if (x.from < 0 && x.to > 0)
    lines.push(element("line", { class: "zero", x1: x.at(0), x2: x.at(0), y1: y.at(y.to), y2: bottom }));
  if (figure.diagonal && low < high)
    lines.push(element("line", { class: "diagonal", x1: x.at(low), y1: y.at(low), x2: x.at(high), y2: y.at(high) }));
  return [
    ...gridY(y, figure.y, bottom),
    ...x.ticks.map((tick) => tickX(x, tick, bottom)),
    ...lines,
    ...figure.groups.flatMap((group, g) =>
      group.points.slice(0, mostPoints).map((point) => {
        const words = `${point.label ?? group.name}: ${short(point.x)}, ${short(point.y)} (${group.name})`;
        const place = { class: `mark g${g}`, d: marker(x.at(point.x), y.at(point.y), g) };
        return element("path", place, element("title", {}, words));
      }),
    ),
    axisX(figure.x, (left + right) / 2, bottom + 36),
    ...key(figure.groups, "mark"),
  ];
}

/** Groups differ in shape as well as in colour: ring, cross, triangle. */
function marker(x: number, y: number, group: number): string {
  if (group === 0) return `M${x - 2.6} ${y}a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0`;
  if (group === 1) return `M${x - 2.6} ${y - 2.6}l5.2 5.2m0 -5.2l-5.2 5.2`;
  return `M${x} ${y - 3}l3 5.2h-6z`;
}

function drawIntervals(figure: FigureOf<"intervals">): SvgElement[] {
  const names = 210;
  const bottom = heightOf(figure) - 40;
  const x = scaleOf(
    figure.rows.flatMap(({ low, high }) => [low, high]),
    { start: names, end: right - 8, withZero: true },
  );
  return [
    ...x.ticks.flatMap((tick) => [
      element("line", { class: lineOf(tick), x1: x.at(tick), x2: x.at(tick), y1: 4, y2: bottom }),
      tickX(x, tick, bottom),
    ]),
    ...figure.rows.map(({ label, value, low, high, control }, at) => {
      const y = 16 + 24 * at;
      const colour = control ? "control" : value < 0 ? "negative" : "positive";
      return element(
        "g",
        {},
        element("title", {}, `${label}: ${short(value)}, ${short(low)} to ${short(high)}`),
        element("text", { class: "label", x: names - 12, y: y + 4, "text-anchor": "end" }, label),
        element("line", { class: `bar ${colour}`, x1: x.at(low), x2: x.at(high), y1: y, y2: y }),
        element("circle", { class: `dot ${colour}`, cx: x.at(value), cy: y, r: 3.5 }),
      );
    }),
    axisX(figure.x, (names + right) / 2, bottom + 34),
  ];
}

function gridY(y: Scale, name: string, bottom: number): SvgElement[] {
  const turned = `translate(12 ${(26 + bottom) / 2}) rotate(-90)`;
  return [
    ...y.ticks.flatMap((tick) => [
      element("line", { class: lineOf(tick), x1: left, x2: right, y1: y.at(tick), y2: y.at(tick) }),
      element("text", { class: "tick", x: left - 6, y: y.at(tick) + 4, "text-anchor": "end" }, short(tick)),
    ]),
    element("text", { class: "axis", transform: turned, "text-anchor": "middle" }, name),
  ];
}

function lineOf(tick: number): string {
  return tick === 0 ? "zero" : "grid";
}

function tickX(x: Scale, tick: number, bottom: number): SvgElement {
  return element("text", { class: "tick", x: x.at(tick), y: bottom + 15, "text-anchor": "middle" }, short(tick));
}

function axisX(name: string, x: number, y: number): SvgElement {
  return element("text", { class: "axis", x, y, "text-anchor": "middle" }, name);
}

function key(groups: readonly { readonly name: string }[], kind: "square" | "mark"): SvgElement[] {
  return groups.flatMap(({ name }, at) => {
    const x = left + 150 * at;
    const sign =
      kind === "square"
        ? element("rect", { class: `fill g${at}`, x, y: 5, width: 10, height: 10 })
        : element("path", { class: `mark g${at}`, d: marker(x + 5, 10, at) });
    return [sign, element("text", { class: "label", x: x + 15, y: 14 }, name)];
  });
}
