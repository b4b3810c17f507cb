/** `report.json`: all that a run found, as tables and figures with their sources. */
import * as z from "zod";

/** Where a number comes from: every table and figure of a report carries it. */
export const ReportSource = z.object({
  run: z.string(),
  /** The stage that computed it, and the first digits of its content key. */
  stage: z.string(),
  key: z.string(),
  seed: z.int(),
  /** All of them, where the number is over several runs; `seed` is then the first. */
  seeds: z.array(z.int()).optional(),
  /** For what somebody measured after the run: when, as ISO 8601. */
  measuredAfter: z.string().optional(),
});
export type ReportSource = z.infer<typeof ReportSource>;

/** A source in words, to stand after the run's name or at a sentence's beginning. */
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

/** The numbers of a figure; how it is drawn is the page's. */
export const ReportFigure = z.discriminatedUnion("kind", [
  /** One bar a category and group. */
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
    /** Where both axes have the same unit: the line on which a perfect prediction would lie. */
    diagonal: z.boolean(),
    groups: z.array(
      z.object({
        name: z.string(),
        points: z.array(z.object({ x: z.number(), y: z.number(), label: z.string().nullable() })),
      }),
    ),
  }),
  /** A value with its interval a row, on one axis with a line at zero. */
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
  /** Nothing in it is the run's own: it was measured after the run. */
  afterRun: z.literal(true).optional(),
});
export type ReportSection = z.infer<typeof ReportSection>;

/** A line of the head: model, data, settings. */
export const ReportFact = z.object({ name: z.string(), value: z.string() });
export type ReportFact = z.infer<typeof ReportFact>;

export const Report = z.object({
  format: z.literal(1),
  run: z.string(),
  seed: z.int(),
  /** Of a report over several runs of one experiment; `seed` is the first of them. */
  seeds: z.array(z.int()).optional(),
  /** Of what the run was made; reports of earlier versions have none. */
  about: z.array(ReportFact).optional(),
  /** One finding a line, each with its numbers. */
  summary: z.array(z.string()),
  sections: z.array(ReportSection),
});
export type Report = z.infer<typeof Report>;
