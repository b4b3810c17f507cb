/** Curves of several runs in one chart each. */
import { type Chart, type Curve, chartsOf, type LogLine } from "../curves/series.ts";

export interface RunLog {
  readonly name: string;
  readonly lines: readonly LogLine[];
}

/**
 * The charts for which at least one run has numbers, with a curve a run (or several, named after the run). Steps are all
 * runs' steps: a run has no value at a step that it did not log. Bands are left out, since they would cover one another.
 */
export function mergedCharts(runs: readonly RunLog[]): Chart[] {
  const own = runs.map(({ name, lines }) => ({ name, charts: new Map(chartsOf(lines).map((one) => [one.id, one])) }));
  const ids = new Set(own.flatMap(({ charts }) => [...charts.keys()]));
  return [...ids].flatMap((id) => {
    const found = own.flatMap(({ name, charts }) => {
      const chart = charts.get(id);
      return chart === undefined ? [] : [{ name, chart }];
    });
    const [first] = found;
    if (first === undefined) return [];
    const xs = [...new Set(found.flatMap(({ chart }) => chart.xs))].sort((a, b) => a - b);
    const curves = found.flatMap(({ name, chart }) => chart.curves.map((curve) => curveOn(xs, chart, curve, name)));
    return [{ id, title: first.chart.title, x: first.chart.x, xs, curves, spansGaps: true }];
  });
}

/** A run's curve on the steps of all runs. */
function curveOn(xs: readonly number[], chart: Chart, { name, values }: Curve, run: string): Curve {
  const byStep = new Map(chart.xs.map((x, at) => [x, values[at] ?? null]));
  return {
    name: chart.curves.length === 1 ? run : `${run}: ${name}`,
    values: xs.map((x) => byStep.get(x) ?? null),
  };
}
