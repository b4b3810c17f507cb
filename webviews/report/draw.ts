/** A report's figures as SVG. Colours come from classes, so that they follow the theme. */
import { nothing, svg, type TemplateResult } from "lit";
import type { ReportFigure } from "../../server/protocol/report.ts";
import { short } from "../common/format.ts";
import { type Scale, scaleOf } from "../common/scale.ts";

type FigureOf<Kind extends ReportFigure["kind"]> = Extract<ReportFigure, { kind: Kind }>;

export const width = 560;
/** Maximum number of points drawn per group; the data has all. */
const mostPoints = 3000;

export function heightOf(figure: ReportFigure): number {
  if (figure.kind === "intervals") return 50 + 24 * figure.rows.length;
  return figure.kind === "points" ? 340 : 260;
}

/** Draws a figure as SVG, `width` by `heightOf` pixels. */
export function drawFigure(figure: ReportFigure): TemplateResult {
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

function drawBars(figure: FigureOf<"bars">): TemplateResult {
  const bottom = heightOf(figure) - 62;
  const values = figure.groups.flatMap((group) => group.values.filter((value) => value !== null));
  const y = scaleOf(values, { start: bottom, end: 26, withZero: true });
  const slot = (right - left) / Math.max(1, figure.categories.length);
  const isCrowded = slot < 6.5 * Math.max(...figure.categories.map((category) => category.length));
  const label = (category: string, at: number) => {
    const x = left + slot * (at + 0.5);
    return isCrowded
      ? svg`<text class="label" transform="translate(${x + 3} ${bottom + 12}) rotate(-32)" text-anchor="end">${category}</text>`
      : svg`<text class="label" x=${x} y=${bottom + 16} text-anchor="middle">${category}</text>`;
  };
  const bar = (value: number | null, category: number, group: number) => {
    if (value === null) return nothing;
    const shown = figure.groups.map((other, at) => (other.values[category] == null ? -1 : at)).filter((at) => at >= 0);
    const each = (slot * 0.72) / shown.length;
    const x = left + slot * (category + 0.14) + each * shown.indexOf(group);
    const [top, foot] = [Math.min(y.at(value), y.at(0)), Math.max(y.at(value), y.at(0))];
    return svg`<rect class="fill g${group}" x=${x} y=${top} width=${Math.max(1, each - 1)} height=${Math.max(0.5, foot - top)}>
      <title>${figure.categories[category]}, ${figure.groups[group]?.name}: ${short(value)}</title></rect>`;
  };
  return svg`
    ${gridY(y, figure.y, bottom)}
    ${figure.groups.map((group, g) => group.values.map((value, c) => bar(value, c, g)))}
    ${figure.categories.map(label)}
    <text class="axis" x=${(left + right) / 2} y=${heightOf(figure) - 4} text-anchor="middle">${figure.x}</text>
    ${key(
      figure.groups.map(({ name }) => name),
      "square",
    )}
  `;
}

function drawPoints(figure: FigureOf<"points">): TemplateResult {
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
  return svg`
    ${gridY(y, figure.y, bottom)}
    ${x.ticks.map((tick) => svg`<text class="tick" x=${x.at(tick)} y=${bottom + 15} text-anchor="middle">${short(tick)}</text>`)}
    ${x.from < 0 && x.to > 0 ? svg`<line class="zero" x1=${x.at(0)} x2=${x.at(0)} y1=${y.at(y.to)} y2=${bottom}></line>` : nothing}
    ${figure.diagonal && low < high ? svg`<line class="diagonal" x1=${x.at(low)} y1=${y.at(low)} x2=${x.at(high)} y2=${y.at(high)}></line>` : nothing}
    ${figure.groups.map((group, g) =>
      group.points.slice(0, mostPoints).map(
        (point) => svg`<path class="mark g${g}" d=${marker(x.at(point.x), y.at(point.y), g)}>
          <title>${point.label ?? group.name}: ${short(point.x)}, ${short(point.y)} (${group.name})</title></path>`,
      ),
    )}
    <text class="axis" x=${(left + right) / 2} y=${bottom + 36} text-anchor="middle">${figure.x}</text>
    ${key(
      figure.groups.map(({ name }) => name),
      "mark",
    )}
  `;
}

/** Groups differ in shape as well as in colour: ring, cross, triangle. */
function marker(x: number, y: number, group: number): string {
  if (group === 0) return `M${x - 2.6} ${y}a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0`;
  if (group === 1) return `M${x - 2.6} ${y - 2.6}l5.2 5.2m0 -5.2l-5.2 5.2`;
  return `M${x} ${y - 3}l3 5.2h-6z`;
}

function drawIntervals(figure: FigureOf<"intervals">): TemplateResult {
  const names = 210;
  const bottom = heightOf(figure) - 40;
  const x = scaleOf(
    figure.rows.flatMap(({ low, high }) => [low, high]),
    { start: names, end: right - 8, withZero: true },
  );
  return svg`
    ${x.ticks.map(
      (
        tick,
      ) => svg`<line class=${tick === 0 ? "zero" : "grid"} x1=${x.at(tick)} x2=${x.at(tick)} y1="4" y2=${bottom}></line>
        <text class="tick" x=${x.at(tick)} y=${bottom + 15} text-anchor="middle">${short(tick)}</text>`,
    )}
    ${figure.rows.map(({ label, value, low, high, control }, at) => {
      const y = 16 + 24 * at;
      const colour = control ? "control" : value < 0 ? "negative" : "positive";
      return svg`<g><title>${label}: ${short(value)}, ${short(low)} to ${short(high)}</title>
        <text class="label" x=${names - 12} y=${y + 4} text-anchor="end">${label}</text>
        <line class="bar ${colour}" x1=${x.at(low)} x2=${x.at(high)} y1=${y} y2=${y}></line>
        <circle class="dot ${colour}" cx=${x.at(value)} cy=${y} r="3.5"></circle></g>`;
    })}
    <text class="axis" x=${(names + right) / 2} y=${bottom + 34} text-anchor="middle">${figure.x}</text>
  `;
}

function gridY(y: Scale, name: string, bottom: number): TemplateResult {
  return svg`
    ${y.ticks.map(
      (
        tick,
      ) => svg`<line class=${tick === 0 ? "zero" : "grid"} x1=${left} x2=${right} y1=${y.at(tick)} y2=${y.at(tick)}></line>
        <text class="tick" x=${left - 6} y=${y.at(tick) + 4} text-anchor="end">${short(tick)}</text>`,
    )}
    <text class="axis" transform="translate(12 ${(26 + bottom) / 2}) rotate(-90)" text-anchor="middle">${name}</text>
  `;
}

function key(names: readonly string[], kind: "square" | "mark"): TemplateResult {
  return svg`${names.map((name, at) => {
    const x = left + 150 * at;
    const sign =
      kind === "square"
        ? svg`<rect class="fill g${at}" x=${x} y="5" width="10" height="10"></rect>`
        : svg`<path class="mark g${at}" d=${marker(x + 5, 10, at)}></path>`;
    return svg`${sign}<text class="label" x=${x + 15} y="14">${name}</text>`;
  })}`;
}
