import { z } from "zod";
import { ProcessIdentity } from "./process-identity.ts";

const base = {
  argv: z.array(z.string()),
  /** ISO 8601, taken before the job was started. */
  submittedAt: z.string(),
};

/** A process of this machine, or of one that shares the run's folder. */
export const LocalJob = z.object({ ...base, executor: z.literal("local"), process: ProcessIdentity });
export type LocalJob = z.infer<typeof LocalJob>;

/**
 * `job.json`: how a run was started, and what its executor finds the job by. Records without `executor` (older ones)
 * are local.
 */
export const JobRecord = z.preprocess(withExecutor, z.discriminatedUnion("executor", [LocalJob]));
export type JobRecord = z.infer<typeof JobRecord>;

function withExecutor(value: unknown): unknown {
  const isOld = typeof value === "object" && value !== null && !("executor" in value);
  return isOld ? { ...value, executor: "local" } : value;
}
