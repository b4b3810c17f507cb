/** Turns lines of `log.jsonl` into charts. */
import { type Measure, MeasuresLine, ppoMeasures } from "../../server/protocol/measures.ts";

export type LogLine = Readonly<Record<string, unknown>>;

export interface Chart {
  readonly id: string;
  readonly title: string;
  /** Name of the quantity on the x axis. */
  readonly x: string;
  readonly xs: readonly number[];
  readonly curves: readonly Curve[];
  /** Whether lines go on over missing values: curves of logs whose steps are not the same. */
  readonly spansGaps?: boolean;
}

/** One value per x, null where the log has none, optionally with a band around it. */
export interface Curve {
  readonly name: string;
  readonly values: readonly (number | null)[];
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
  /** What the band shows. */
  readonly bandName?: string;
}

type Column = Pick<Measure, "id" | "title" | "column">;

/** The columns that each autoencoder logs; one curve per model and size, over its layers. */
const autoencoderColumns: readonly Column[] = [
  { id: "sae-loss", title: "Autoencoders: loss", column: "loss" },
  { id: "sae-fve", title: "Autoencoders: variance explained", column: "fve" },
  { id: "sae-l0", title: "Autoencoders: active features a token", column: "l0" },
  { id: "sae-dead", title: "Autoencoders: dead features", column: "dead" },
];

/** The charts for which these lines have numbers. */
export function chartsOf(lines: readonly LogLine[]): Chart[] {
  const { measures, steps } = tuningOf(lines);
  const autoencoders = lines.filter(({ stage }) => stage === "autoencoders");
  return [
    ...measures.flatMap((measure) => tuningChart(measure, steps)),
    ...autoencoderColumns.flatMap((column) => autoencoderChart(column, autoencoders)),
  ];
}

/** The measures of tuning and its steps, from all stages that declare measures and from older logs that do not. */
function tuningOf(lines: readonly LogLine[]): { measures: readonly Measure[]; steps: readonly LogLine[] } {
  const declared = lines.flatMap((line) => {
    const found = line["measures"] === undefined ? undefined : MeasuresLine.safeParse(line).data;
    return found === undefined ? [] : [{ stage: line["stage"], ...found }];
  });
  const stages = new Set(declared.map(({ stage }) => stage));
  const isStep = (line: LogLine): boolean =>
    line["measures"] === undefined && (stages.has(line["stage"]) || line["rewardMean"] !== undefined);
  return { measures: declared[0]?.measures ?? ppoMeasures, steps: lines.filter(isStep) };
}

function tuningChart({ id, title, column, spread }: Measure, lines: readonly LogLine[]): Chart[] {
  const values = lines.map((line) => numberOf(line[column]));
  if (values.every((value) => value === null)) return [];
  const sds = spread === undefined ? undefined : lines.map((line) => numberOf(line[spread]));
  const off = (sign: 1 | -1) =>
    sds?.map((sd, at) => {
      const value = values[at] ?? null;
      return sd === null || value === null ? null : value + sign * sd;
    });
  const [low, high] = [off(-1), off(1)];
  const band =
    low === undefined || high === undefined ? {} : { low, high, bandName: "± standard deviation of the batch" };
  return [{ id, title, x: "step", xs: stepsOf(lines), curves: [{ name: title, values, ...band }] }];
}

function autoencoderChart({ id, title, column }: Column, lines: readonly LogLine[]): Chart[] {
  const groups = new Map<string, string[]>();
  for (const name of Object.keys(lines[0] ?? {})) {
    const [, model, size] = /^(\w+)\.\d+\.(\d+)\.(\w+)$/.exec(name) ?? [];
    if (model === undefined || size === undefined || !name.endsWith(`.${column}`)) continue;
    const group = `${model}, ${size} features`;
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  const curves = [...groups].map(([name, columns]) => overLayers(name, columns, lines));
  return curves.length === 0 ? [] : [{ id, title, x: "step", xs: stepsOf(lines), curves }];
}

/** Mean over layers, with minimum and maximum as the band. */
function overLayers(name: string, columns: readonly string[], lines: readonly LogLine[]): Curve {
  const rows = lines.map((line) => columns.map((column) => numberOf(line[column])).filter((value) => value !== null));
  const each = (of: (values: readonly number[]) => number) => rows.map((row) => (row.length === 0 ? null : of(row)));
  const mean = each((values) => values.reduce((sum, value) => sum + value, 0) / values.length);
  if (columns.length === 1) return { name, values: mean };
  const [low, high] = [each((values) => Math.min(...values)), each((values) => Math.max(...values))];
  return { name, values: mean, low, high, bandName: `over ${columns.length} layers` };
}

function stepsOf(lines: readonly LogLine[]): number[] {
  return lines.map((line, at) => numberOf(line["step"]) ?? at + 1);
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** A chart in words: where its curves begin and end; for a single curve also its minimum and maximum. */
export function describe(chart: Chart, show: (value: number) => string): string {
  return chart.curves
    .map((curve) => {
      const points = curve.values.flatMap((value, at) => (value === null ? [] : [{ value, x: chart.xs[at] ?? at }]));
      const [first, last] = [points[0], points.at(-1)];
      if (first === undefined || last === undefined) return `${curve.name}: no values yet.`;
      if (chart.curves.length > 1) return `${curve.name}: ${show(first.value)} to ${show(last.value)}.`;
      if (points.length === 1) return `${show(first.value)} at ${chart.x} ${first.x}.`;
      const least = points.reduce((a, b) => (b.value < a.value ? b : a));
      const most = points.reduce((a, b) => (b.value > a.value ? b : a));
      return (
        `${show(first.value)} at ${chart.x} ${first.x}, ${show(last.value)} at ${last.x}; ` +
        `lowest ${show(least.value)} at ${least.x}, highest ${show(most.value)} at ${most.x}.`
      );
    })
    .join(" ");
}
