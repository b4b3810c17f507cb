/** The page that sets runs side by side. */
import * as z from "zod";
import { RunComparison } from "./comparison.ts";
import { ask, definePage } from "./pages.ts";
import { SaveFigure } from "./run-pages.ts";
import { RunSeries } from "./runs.ts";

const nothing = z.strictObject({});
const done = z.object({});
/** A run by its place in the comparison; only the host knows its folder. */
const run = z.int().min(0);

export const ComparePage = definePage({
  name: "compare",
  asks: {
    open: ask(nothing, RunComparison),
    /** Log lines of one run, as in `CurvesPage`. */
    series: ask(z.strictObject({ run, offset: z.int().min(0) }), RunSeries.result),
    save: SaveFigure,
    /** Saves the whole comparison as a file. */
    saveComparison: ask(z.strictObject({ format: z.enum(["markdown", "csv"]) }), z.object({ saved: z.boolean() })),
    /** Colours texts by the learned reward of run `a` minus that of run `b`. */
    showDifference: ask(z.strictObject({ a: run, b: run }), done),
    /** Opens a run's report. */
    openReport: ask(z.strictObject({ run }), done),
  },
  tells: {
    /** A run advanced or changed; the page asks again. */
    changed: done,
  },
  state: z.object({
    asTable: z.array(z.string()).default([]),
    /** Curves that the person hid. */
    hidden: z.array(z.string()).default([]),
    scroll: z.number().default(0),
  }),
});
