import * as z from "zod";

/** What a caller can do about a failure: the wire form of the program's error codes. */
export const FailureCode = z.enum([
  "usage",
  "input",
  "not-found",
  "non-finite",
  "resource",
  "locked",
  "cancelled",
  "internal",
]);
export type FailureCode = z.infer<typeof FailureCode>;

/** The state of a run, as in `run.json` and in its `state` events. */
export const RunState = z.discriminatedUnion("kind", [
  /** Accepted but waiting; `for` says for whom or what, as a phrase for people. */
  z.object({ kind: z.literal("waiting"), for: z.string() }),
  /** Working on the stage with this id. */
  z.object({ kind: z.literal("running"), stage: z.string() }),
  z.object({ kind: z.literal("done") }),
  z.object({
    kind: z.literal("failed"),
    code: FailureCode,
    message: z.string(),
    /** The stage it failed in; absent when no stage had begun. */
    stage: z.string().optional(),
    /** Whether a rerun without changes would resume from the last checkpoint with a chance of success. */
    resumable: z.boolean(),
  }),
  /** Someone cancelled the run; a rerun resumes from the last checkpoint. */
  z.object({ kind: z.literal("cancelled"), stage: z.string().optional() }),
]);
export type RunState = z.infer<typeof RunState>;

const base = {
  /** Sequence number: 1, 2, 3 ... without gaps through the whole life of a run folder. */
  seq: z.int().positive(),
  /** ISO 8601, UTC. */
  time: z.iso.datetime(),
};

const stage = {
  /** The stage's id in the plan. */
  stage: z.string(),
  /** The stage's content key, 64 hexadecimal digits. */
  key: z.string(),
};

/** How far a stage is. */
export const StageProgress = z.object({
  done: z.number(),
  total: z.number(),
  /** The unit of the counts: `steps`, `tokens`, `reviews` ... */
  unit: z.string(),
  /** Units per second since this process started or resumed the stage; null until known. */
  ratePerS: z.number().nullable(),
  secondsLeft: z.number().nullable(),
});
export type StageProgress = z.infer<typeof StageProgress>;

/** One line of `events.jsonl`. */
export const RunEvent = z.discriminatedUnion("kind", [
  z.object({ ...base, kind: z.literal("state"), state: RunState }),
  z.object({ ...base, kind: z.literal("stage-started"), ...stage }),
  /** The stage resumed from this checkpoint. */
  z.object({ ...base, kind: z.literal("stage-resumed"), ...stage, generation: z.int().positive() }),
  /** The stage's output existed already. */
  z.object({ ...base, kind: z.literal("stage-reused"), ...stage }),
  /** `workedMs` counts all attempts up to their last checkpoint, and the last one whole. */
  z.object({ ...base, kind: z.literal("stage-finished"), ...stage, workedMs: z.number() }),
  z.object({
    ...base,
    kind: z.literal("progress"),
    stage: z.string(),
    ...StageProgress.shape,
  }),
  z.object({
    ...base,
    kind: z.literal("message"),
    level: z.enum(["info", "warning"]),
    text: z.string(),
    stage: z.string().optional(),
  }),
]);
export type RunEvent = z.infer<typeof RunEvent>;

/** An event without its sequence number and time. */
export type RunEventBody = WithoutStamp<RunEvent>;

type WithoutStamp<T> = T extends unknown ? Omit<T, "seq" | "time"> : never;

/** Whether a run in this state has ended. */
export function hasEnded(state: RunState): boolean {
  return state.kind === "done" || state.kind === "failed" || state.kind === "cancelled";
}
