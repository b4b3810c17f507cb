/** Runs as the editor sees them: found, started, followed, stopped. A run is a process of its own; these messages only look and ask. */
import * as z from "zod";
import { defineNotification, defineRequest } from "./message.ts";
import { RunState } from "./run-events.ts";

export const StageProgress = z.object({
  done: z.number(),
  total: z.number(),
  unit: z.string(),
  ratePerS: z.number().nullable(),
  secondsLeft: z.number().nullable(),
});
export type StageProgress = z.infer<typeof StageProgress>;

export const StageView = z.object({
  id: z.string(),
  status: z.enum(["todo", "running", "reused", "done", "failed"]),
  progress: StageProgress.nullable(),
  /** The stage's own words on how it went, such as `reward 0.07 to 0.58`. Null while there are none. */
  summary: z.string().nullable(),
});
export type StageView = z.infer<typeof StageView>;

export const RunView = z.object({
  /** Absolute. */
  folder: z.string(),
  name: z.string(),
  state: z.union([
    RunState,
    z.object({ kind: z.literal("interrupted") }),
    z.object({ kind: z.literal("new") }),
    /** The folder's files cannot be read; `message` says why. */
    z.object({ kind: z.literal("unreadable"), message: z.string() }),
  ]),
  stages: z.array(StageView),
  /** ISO 8601; null before its first start. */
  updated: z.string().nullable(),
  hasReport: z.boolean(),
  /** Whether a lens can be made of it: tuned model, dictionaries and probe are there. */
  hasProbe: z.boolean(),
});
export type RunView = z.infer<typeof RunView>;

export const ListRuns = defineRequest("lfp/listRuns", z.object({}), z.object({ runs: z.array(RunView) }));

/** Server to editor: these runs changed, appeared, or (in `gone`) went away; at most four a second. */
export const RunsChanged = defineNotification(
  "lfp/runsChanged",
  z.object({ changed: z.array(RunView), gone: z.array(z.string()) }),
);

/**
 * Starts an experiment, or goes on with it, as a process that outlives editor and server. `experiment` is a file's path or a preset's name.
 * Refused in Restricted Mode.
 */
export const StartRun = defineRequest(
  "lfp/startRun",
  z.object({ experiment: z.string(), runsRoot: z.string(), name: z.string().nullable() }),
  z.object({ folder: z.string() }),
);

/** Goes on with a run from its own `experiment.json`. */
export const ResumeRun = defineRequest(
  "lfp/resumeRun",
  z.object({ folder: z.string() }),
  z.object({ folder: z.string() }),
);

/** Asks a run to stop after a checkpoint; answers when it has been asked, not when it has stopped. */
export const CancelRun = defineRequest("lfp/cancelRun", z.object({ folder: z.string() }), z.object({}));

/** Lines of `log.jsonl` from a byte offset on, for curves. */
export const RunSeries = defineRequest(
  "lfp/runSeries",
  z.object({ folder: z.string(), offset: z.int().min(0), maxLines: z.int().min(1).max(20_000) }),
  z.object({
    /** Where to go on. Smaller than the one asked from when the log was started anew: then `lines` begin at its start. */
    offset: z.int().min(0),
    lines: z.array(z.record(z.string(), z.unknown())),
  }),
);

/** `report.md` of a finished run. */
export const ReadReport = defineRequest(
  "lfp/readReport",
  z.object({ folder: z.string() }),
  z.object({ markdown: z.string(), json: z.unknown() }),
);
