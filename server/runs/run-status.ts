import { z } from "zod";
import { parseJson } from "../common/json.ts";
import { hasEnded, type RunState } from "../protocol/run-events.ts";
import { textIfThere } from "./files.ts";
import { livenessOf, ProcessIdentity } from "./process-identity.ts";
import { type RunRecord, readRecord, runPaths } from "./run-folder.ts";
import { lockHolder } from "./run-lock.ts";

/** `job.json`: how the detached process of a run was started. */
export const JobRecord = z.object({
  argv: z.array(z.string()),
  process: ProcessIdentity,
  submittedAt: z.string(),
});
export type JobRecord = z.infer<typeof JobRecord>;

/** What is known of a run from its folder. */
export interface RunStatus {
  /**
   * The run's state. `interrupted`: its process is gone without a word (killed, power cut, crash); running it again goes on
   * from the last checkpoint. `new`: it has never been started.
   */
  readonly state: RunState | { readonly kind: "interrupted" } | { readonly kind: "new" };
  /** The living process that works on it. */
  readonly process: ProcessIdentity | undefined;
  /** `run.json`, once there is one. */
  readonly record: RunRecord | undefined;
}

/** How a stage stands. `begun`: whatever worked on it is gone; it goes on from its last checkpoint. */
export type StageStatus = RunRecord["stages"][number]["status"] | "begun" | "failed";

/** The record of a run that was cut off, or failed, still says that its stage is running. */
export function stageStatusOf(
  { state, process }: Pick<RunStatus, "state" | "process">,
  { id, status }: Pick<RunRecord["stages"][number], "id" | "status">,
): StageStatus {
  if (state.kind === "failed" && state.stage === id) return "failed";
  return status === "running" && process === undefined ? "begun" : status;
}

/** Reads a run's status; any process may. Throws `RunFileError`. */
export async function runStatus(folder: string): Promise<RunStatus> {
  // The process first: one that ends in between has written how it ended before it let go.
  const process = await runProcess(folder);
  const record = await readRecord(folder);
  return { state: stateOf(record, process, await readJob(folder)), process, record };
}

/** The living process that works on a run, or is about to; `undefined` when there is none. */
export async function runProcess(folder: string): Promise<ProcessIdentity | undefined> {
  const holder = await lockHolder(runPaths(folder).lock);
  if (holder !== undefined) return holder.process;
  const job = await readJob(folder);
  return job !== undefined && (await livenessOf(job.process)) === "alive" ? job.process : undefined;
}

/** `job.json`, if there is one that can be read; it only helps to find a process before that has its lock. */
async function readJob(folder: string): Promise<JobRecord | undefined> {
  const text = await textIfThere(runPaths(folder).job, "record");
  try {
    return JobRecord.safeParse(parseJson(text ?? "null")).data;
  } catch {
    return undefined;
  }
}

function stateOf(
  record: RunRecord | undefined,
  process: ProcessIdentity | undefined,
  job: JobRecord | undefined,
): RunStatus["state"] {
  // What the record says may be how an earlier attempt ended.
  const isCurrent = record !== undefined && (job === undefined || job.submittedAt <= record.updated);
  if (process !== undefined) return isCurrent ? record.state : { kind: "waiting", for: "its start" };
  if (isCurrent) return hasEnded(record.state) ? record.state : { kind: "interrupted" };
  return { kind: job === undefined ? "new" : "interrupted" };
}
