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

/** A job of Slurm, written before it is submitted (then without an id) and again after. */
export const SlurmJob = z.object({
  ...base,
  executor: z.literal("slurm"),
  /** Its name in Slurm, which no other job or array has: `lfp-imdb-quick-5a0f...`. Its run records it too. */
  name: z.string().regex(/^lfp-[a-z0-9-]{1,90}$/),
  /** Its number in the array of this name that it is a task of; undefined for a job of its own. */
  task: z.int().min(0).optional(),
  /** Slurm's number, `1234_7` for task 7 of an array; undefined until `sbatch` has answered. */
  id: z
    .string()
    .regex(/^\d{1,20}(_\d{1,9})?$/)
    .optional(),
  /** The cluster, where there are several and `sbatch` named it. */
  cluster: z
    .string()
    .regex(/^[\w.-]{1,100}$/)
    .optional(),
  /** The process that submits it: without an id, and once that process is gone, nobody will. */
  submitter: ProcessIdentity,
});
export type SlurmJob = z.infer<typeof SlurmJob>;

/** A job of Ray, written before it is submitted and again after. */
export const RayJob = z.object({
  ...base,
  executor: z.literal("ray"),
  /** Its submission id, which no other job has. Its run records it too. */
  name: z.string().regex(/^lfp-[a-z0-9-]{1,90}$/),
  /** Of the cluster's dashboard. */
  address: z.url(),
  /** Whether Ray has said that it has the job. */
  isSubmitted: z.boolean(),
  /** The process that submits it: before Ray has the job, and once that process is gone, nobody will. */
  submitter: ProcessIdentity,
});
export type RayJob = z.infer<typeof RayJob>;

/**
 * `job.json`: how a run was started, and what its executor finds the job by. Records without `executor` (older ones)
 * are local.
 */
export const JobRecord = z.preprocess(withExecutor, z.discriminatedUnion("executor", [LocalJob, SlurmJob, RayJob]));
export type JobRecord = z.infer<typeof JobRecord>;

/** The name by which a job's process calls itself in what it records; undefined where its identity says it. */
export function jobNameOf(record: JobRecord | undefined): string | undefined {
  return record !== undefined && "name" in record ? record.name : undefined;
}

function withExecutor(value: unknown): unknown {
  const isOld = typeof value === "object" && value !== null && !("executor" in value);
  return isOld ? { ...value, executor: "local" } : value;
}
