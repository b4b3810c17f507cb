import { parse } from "csv-parse/sync";
import { expect, it } from "vitest";
import { csvOf, svgOf } from "./export.ts";
import type { Chart } from "./series.ts";

const chart: Chart = {
  id: "loss",
  title: "Loss <of> a & b",
  x: "step",
  xs: [1, 2, 3],
  curves: [
    { name: "a, tuned", values: [1, null, 0.5], low: [0.9, null, 0.4], high: [1.1, null, 0.6] },
    { name: "=b", values: [2, 1.5, 1] },
  ],
};
const colours = { ground: "#000", text: "#fff", grid: "#333", curves: ["#00f", "#f80"] };

it("a chart's table has every number, and nothing that a spreadsheet would run", () => {
  expect(parse(csvOf(chart))).toEqual([
    ["step", "a, tuned", "a, tuned, low", "a, tuned, high", "'=b"],
    ["1", "1", "0.9", "1.1", "2"],
    ["2", "", "", "", "1.5"],
    ["3", "0.5", "0.4", "0.6", "1"],
  ]);
});

it("a chart's picture stands by itself: lines break at gaps, dashes and colours belong to the curve's place", () => {
  const shown = chart.curves.map((curve, at) => ({ curve, at }));
  const whole = svgOf(chart, shown, colours);
  expect(whole).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  expect(whole).toContain("Loss &lt;of> a &amp; b");
  expect(whole.match(/<polyline/g)).toHaveLength(3);
  expect(whole.match(/<polygon/g)).toHaveLength(1);
  const second = svgOf(chart, shown.slice(1), colours);
  expect(second).toContain('stroke="#f80" stroke-width="1.5" stroke-dasharray="7 3"');
  expect(second).not.toContain("#00f");
  // From 1 to 2 on the vertical axis: the first point of b is at its upper end, the last at its lower one.
  const [, points = ""] = /<polyline [^>]*points="([^"]*)"/.exec(second) ?? [];
  const ys = points.split(" ").map((point) => Number(point.split(",")[1]));
  expect(ys).toEqual([44, 160, 276]);
});

it("many curves have dashes and colours of their own, a line over gaps where asked, and a key that stays in the picture", () => {
  const curves = Array.from({ length: 7 }, (_, at) => ({ name: `run ${at}`, values: [at, null, at + 1] }));
  const many: Chart = { id: "kl", title: "KL", x: "step", xs: [1, 2, 3], curves, spansGaps: true };
  const svg = svgOf(
    many,
    curves.map((curve, at) => ({ curve, at })),
    { ...colours, curves: ["#00f", "#f80", "#0a0", "#a0a"] },
  );
  const styles = (svg.match(/<polyline [^>]*/g) ?? []).map((line) => line.replace(/ points=.*/, ""));
  expect(new Set(styles).size).toBe(7);
  expect(svg.match(/<polyline/g)).toHaveLength(7);
  for (const [, x] of svg.matchAll(/x="([\d.]+)" y="[\d.]+" fill="#fff"[^>]*>run/g))
    expect(Number(x)).toBeLessThan(560);
  expect(svg).toContain('height="352"');
});
