/** The pages about a run: its curves while it runs, its report once it has finished. */
import * as z from "zod";
import { ask, definePage } from "./pages.ts";
import { Report } from "./report.ts";
import { RunSeries, RunView } from "./runs.ts";

const nothing = z.strictObject({});
const done = z.object({});

/** Saves a figure that a page drew, or its numbers. The host asks the person for a path. */
export const SaveFigure = ask(
  z.discriminatedUnion("format", [
    z.strictObject({
      format: z.enum(["svg", "csv"]),
      figure: z.string().regex(/^[a-z0-9-]{1,64}$/),
      text: z.string(),
    }),
    z.strictObject({ format: z.literal("png"), figure: z.string().regex(/^[a-z0-9-]{1,64}$/), base64: z.base64() }),
  ]),
  /** False if the person cancelled. */
  z.object({ saved: z.boolean() }),
);

const RunHead = z.object({ name: z.string(), state: RunView.shape.state });

/** Curves of `log.jsonl`. */
export const CurvesPage = definePage({
  name: "curves",
  asks: {
    open: ask(nothing, RunHead),
    /** The host returns as many lines as one message holds; the page asks again from the new offset until none come. */
    series: ask(z.strictObject({ offset: z.int().min(0) }), RunSeries.result),
    openLog: ask(nothing, done),
    save: SaveFigure,
  },
  tells: {
    /** The run advanced, or its state changed. */
    changed: RunHead,
  },
  state: z.object({
    asTable: z.array(z.string()).default([]),
    /** Curves that the person hid. */
    hidden: z.array(z.string()).default([]),
    scroll: z.number().default(0),
  }),
});

/** A finished run's report with its figures. */
export const ReportPage = definePage({
  name: "report",
  asks: {
    open: ask(nothing, Report),
    save: SaveFigure,
    /** Saves the whole report as a file. */
    saveReport: ask(z.strictObject({ format: z.enum(["markdown", "json"]) }), z.object({ saved: z.boolean() })),
    openMarkdown: ask(nothing, done),
  },
  tells: {
    /** The run's store changed; the page requests the measurements made after the run again. */
    changed: done,
  },
  state: z.object({ scroll: z.number().default(0) }),
});
