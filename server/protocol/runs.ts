/**
 * Messages by which the editor finds, starts, follows and stops runs. A run is a process of its own; these only observe
 * it and send it requests.
 */
import * as z from "zod";
import { defineNotification, defineRequest } from "./message.ts";
import { RunState, StageProgress } from "./run-events.ts";

/** Where a run can be started: the kinds of executors. */
export const RunPlace = z.enum(["local", "slurm", "ray"]);

export const StageView = z.object({
  id: z.string(),
  status: z.enum(["todo", "running", "reused", "done", "failed"]),
  progress: StageProgress.nullable(),
  /** The stage's own summary, such as `reward 0.07 to 0.58`. Null if it has none yet. */
  summary: z.string().nullable(),
});
export type StageView = z.infer<typeof StageView>;

export const RunView = z.object({
  /** Absolute path of the run folder. */
  folder: z.string(),
  name: z.string(),
  state: z.union([
    RunState,
    /** `why` a cluster ended it, a sentence without a full stop. */
    z.object({ kind: z.literal("interrupted"), why: z.string().optional() }),
    z.object({ kind: z.literal("new") }),
    /** The folder's files cannot be read; `message` says why. */
    z.object({ kind: z.literal("unreadable"), message: z.string() }),
  ]),
  stages: z.array(StageView),
  /** ISO 8601; null before its first start. */
  updated: z.string().nullable(),
  hasReport: z.boolean(),
  /** Whether the lens can open the run: tuned model, dictionaries and probe exist. */
  hasProbe: z.boolean(),
  /** Digest of the run's dictionaries; null before they are trained. See `RunIdentity`. */
  dictionaries: z.string().nullable().default(null),
  /** Whether the run was asked to stop and goes on to its next checkpoint. */
  stopping: z.boolean().default(false),
  /** How far the whole run is, 0 to 1, and for how long it goes on, by estimate. Null unless it is running. */
  overall: z.object({ share: z.number(), secondsLeft: z.number().nullable() }).nullable().default(null),
  /** Folder of the sweep that asks for the run; null if none does. */
  sweep: z.string().nullable().default(null),
  /** Whether its process or job has a file of output. */
  hasOutput: z.boolean().default(false),
});
export type RunView = z.infer<typeof RunView>;

/** A sweep in one of the folders of runs. */
export const SweepView = z.object({
  /** Absolute path. */
  folder: z.string(),
  name: z.string(),
  /** Folders of the runs that it asks for, in its order. */
  runs: z.array(z.string()),
  /** Whether a process works on it, and starts what is not started yet. */
  isAtWork: z.boolean(),
});
export type SweepView = z.infer<typeof SweepView>;

/** Folders that hold a run but are left out, because no run can have their name. */
const misnamed = z.array(z.string()).default([]);
const sweeps = z.array(SweepView);

/** `bundled`: the run that comes with the extension, which is in none of the folders of runs. */
export const ListRuns = defineRequest(
  "lfp/listRuns",
  z.object({}),
  z.object({ runs: z.array(RunView), bundled: RunView.nullable().default(null), sweeps: sweeps.default([]), misnamed }),
);

/**
 * Server to editor: these runs changed, appeared, or (in `gone`) disappeared; at most four notifications a second.
 * `sweeps` are all as they are now; null if nothing of them has changed.
 */
export const RunsChanged = defineNotification(
  "lfp/runsChanged",
  z.object({ changed: z.array(RunView), gone: z.array(z.string()), sweeps: sweeps.nullable().default(null), misnamed }),
);

/**
 * Starts or resumes an experiment as a process that outlives editor and server. `experiment` is a file's path or a
 * preset's name. Refused in Restricted Mode.
 */
export const StartRun = defineRequest(
  "lfp/startRun",
  z.object({ experiment: z.string(), runsRoot: z.string(), name: z.string().nullable() }),
  z.object({ folder: z.string() }),
);

/** Resumes a run from its own `experiment.json`. */
export const ResumeRun = defineRequest(
  "lfp/resumeRun",
  z.object({ folder: z.string() }),
  z.object({ folder: z.string() }),
);

/** Asks a run to stop after a checkpoint. The response confirms the request, not that the run has stopped. */
export const CancelRun = defineRequest("lfp/cancelRun", z.object({ folder: z.string() }), z.object({}));

/** Stops the process that works on a sweep, and all its runs as `CancelRun` does. */
export const CancelSweep = defineRequest("lfp/cancelSweep", z.object({ folder: z.string() }), z.object({}));

/**
 * Reads what a run's process or job has written, from a byte offset; null: from near the end of what there is. Characters
 * that act or hide are shown as escapes.
 */
export const RunOutput = defineRequest(
  "lfp/runOutput",
  z.object({ folder: z.string(), offset: z.int().min(0).nullable() }),
  z.object({
    /** Where `text` begins; not at the offset that was asked for if that was null or the file is shorter by now. */
    start: z.int().min(0),
    /** Offset for the next request. Equal to `start` when there is nothing new. */
    offset: z.int().min(0),
    text: z.string(),
  }),
);

/** Reads lines of `log.jsonl` from a byte offset, for curves. */
export const RunSeries = defineRequest(
  "lfp/runSeries",
  z.object({ folder: z.string(), offset: z.int().min(0), maxLines: z.int().min(1).max(20_000) }),
  z.object({
    /**
     * Offset for the next request. If smaller than the requested one, the log was restarted and `lines` begin at its
     * start.
     */
    offset: z.int().min(0),
    lines: z.array(z.record(z.string(), z.unknown())),
  }),
);

/** Reads a finished run's `report.md`. */
export const ReadReport = defineRequest(
  "lfp/readReport",
  z.object({ folder: z.string() }),
  z.object({ markdown: z.string(), json: z.unknown() }),
);
