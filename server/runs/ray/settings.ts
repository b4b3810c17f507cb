import { z } from "zod";

/** One value of a job's script: no line break could end it early. */
const word = z
  .string()
  .min(1)
  .max(1000)
  .regex(/^[^\p{Cc}]+$/u, "expected text without control characters");

const amount = z.number().positive().max(1_000_000);

/** How jobs are submitted to a Ray cluster, by its Jobs API. */
export const RaySettings = z.strictObject({
  /** Of the dashboard: `https://ray.lab.example`, `http://127.0.0.1:8265` (through an SSH tunnel, say). */
  address: z.url({ protocol: /^https?$/ }).default("http://127.0.0.1:8265"),
  /** What the job's process takes of a node (`entrypoint_num_cpus` ...). Without any, Ray starts it on the head node. */
  cpus: amount.optional(),
  gpus: amount.optional(),
  /** Gigabytes. */
  memoryGb: amount.optional(),
  /** Custom resources of the cluster's nodes. */
  resources: z.record(z.string().min(1).max(200), amount).default({}),
  /** Environment variables that the job gets besides PATH and those of Hugging Face and lfp. No secrets. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), word).default({}),
  /** A folder that this machine and all nodes share; runs elsewhere are refused. */
  sharedFolder: word.optional(),
  /** Seconds that a job which is stopped has to save before Ray ends it. */
  stopSeconds: z.int().min(3).max(3600).default(120),
  /** How often a run may be submitted again without a new checkpoint. */
  restartsWithoutProgress: z.int().min(0).max(100).default(3),
});
export type RaySettings = z.output<typeof RaySettings>;
