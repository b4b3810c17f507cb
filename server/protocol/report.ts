/** Schema of `report.json`: a run's results, as tables and figures with their sources. */
import * as z from "zod";

/** Where a number comes from: every table and figure of a report carries it. */
export const ReportSource = z.object({
  run: z.string(),
  /** The stage that computed it, and the first digits of its content key. */
  stage: z.string(),
  key: z.string(),
  seed: z.int(),
  /** All seeds if the number covers several runs; `seed` is then the first. */
  seeds: z.array(z.int()).optional(),
  /** Time of the measurement (ISO 8601) if someone made it after the run. */
  measuredAfter: z.string().optional(),
});
export type ReportSource = z.infer<typeof ReportSource>;

/** A source in words, to follow the run's name or to begin a sentence. */
export function sourceInWords({ stage, key, seed, seeds, measuredAfter }: ReportSource): string {
  const when = measuredAfter?.replace(/T(\d\d:\d\d).*$/, " $1 UTC");
  return when === undefined
    ? `stage ${stage} (${key}), ${seedsInWords({ seed, seeds })}`
    : `measured after the run, ${when} (${key}), seed ${seed}`;
}

/** `seed 1`, or `seeds 1, 2, 3` of a report over several runs. */
export function seedsInWords({ seed, seeds }: Pick<ReportSource, "seed" | "seeds">): string {
  return seeds === undefined || seeds.length === 1 ? `seed ${seeds?.[0] ?? seed}` : `seeds ${seeds.join(", ")}`;
}

export const ReportCell = z.union([z.string(), z.number(), z.null()]);
export type ReportCell = z.infer<typeof ReportCell>;

export const ReportTable = z.object({
  id: z.string(),
  title: z.string(),
  source: ReportSource,
  columns: z.array(z.string()),
  rows: z.array(z.array(ReportCell)),
  /** What a reader must know to read the table right. */
  notes: z.array(z.string()),
});
export type ReportTable = z.infer<typeof ReportTable>;

const head = {
  id: z.string().regex(/^[a-z0-9-]{1,64}$/),
  title: z.string(),
  source: ReportSource,
  notes: z.array(z.string()),
};
const axes = { x: z.string(), y: z.string() };

/** The numbers of a figure; the page decides how to draw them. */
export const ReportFigure = z.discriminatedUnion("kind", [
  /** One bar per category and group. */
  z.object({
    ...head,
    kind: z.literal("bars"),
    ...axes,
    categories: z.array(z.string()),
    groups: z.array(z.object({ name: z.string(), values: z.array(z.number().nullable()) })),
  }),
  z.object({
    ...head,
    kind: z.literal("points"),
    ...axes,
    /** Whether to draw the line of perfect prediction; for axes of the same unit. */
    diagonal: z.boolean(),
    groups: z.array(
      z.object({
        name: z.string(),
        points: z.array(z.object({ x: z.number(), y: z.number(), label: z.string().nullable() })),
      }),
    ),
  }),
  /** One value with its interval per row, on one axis with a line at zero. */
  z.object({
    ...head,
    kind: z.literal("intervals"),
    x: z.string(),
    rows: z.array(
      z.object({ label: z.string(), value: z.number(), low: z.number(), high: z.number(), control: z.boolean() }),
    ),
  }),
]);
export type ReportFigure = z.infer<typeof ReportFigure>;

export const ReportSection = z.object({
  title: z.string(),
  text: z.array(z.string()),
  tables: z.array(ReportTable),
  /** Reports of the first version have none. */
  figures: z.array(ReportFigure).default([]),
  /** Set if everything in the section was measured after the run. */
  afterRun: z.literal(true).optional(),
});
export type ReportSection = z.infer<typeof ReportSection>;

/** A line of the report's head: model, data or settings. */
export const ReportFact = z.object({ name: z.string(), value: z.string() });
export type ReportFact = z.infer<typeof ReportFact>;

export const Report = z.object({
  format: z.literal(1),
  run: z.string(),
  seed: z.int(),
  /** All seeds if the report covers several runs of one experiment; `seed` is then the first. */
  seeds: z.array(z.int()).optional(),
  /** The run's model, data and settings; reports of earlier versions have none. */
  about: z.array(ReportFact).optional(),
  /** One finding per line, with its numbers. */
  summary: z.array(z.string()),
  sections: z.array(ReportSection),
});
export type Report = z.infer<typeof Report>;
