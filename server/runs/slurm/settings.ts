import { z } from "zod";

/** One word of a command line, or one value: no line break could end it early. */
const word = z
  .string()
  .min(1)
  .max(1000)
  // Control characters would end a line of the job's script.
  .regex(/^[^\p{Cc}]+$/u, "expected text without control characters");

/** How jobs are submitted to Slurm. What is not given is the cluster's default; sbatch(1) explains each value. */
export const SlurmSettings = z.strictObject({
  partition: word.optional(),
  account: word.optional(),
  qos: word.optional(),
  /** Time limit: `30` (minutes), `12:00:00`, `2-00:00:00`. Runs that need longer are continued in further turns. */
  time: z
    .string()
    .regex(
      /^(\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d+(:\d\d){0,2})$/,
      "expected minutes, hours:minutes:seconds or days-hours",
    )
    .optional(),
  /** Such as `gpu:1`. */
  gres: word.optional(),
  cpus: z.int().min(1).max(100_000).optional(),
  /** Such as `32G`. */
  memory: z
    .string()
    .regex(/^\d+[KMGT]?$/i, "expected a number with K, M, G or T")
    .optional(),
  /** More options of sbatch, each a word: `["--constraint=a100", "--exclude=node7"]`. */
  extraArgs: z.array(word).max(100).default([]),
  /** Environment modules that the job loads first. */
  modules: z.array(word).max(100).default([]),
  /** Environment variables that the job gets besides PATH and those of Hugging Face and lfp. No secrets: any user may read a job's script. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), word).default({}),
  /** A folder that login node and compute nodes share; runs elsewhere are refused. */
  sharedFolder: word.optional(),
  /** Seconds before the time limit at which Slurm asks the run to save and make room. */
  saveSeconds: z.int().min(10).max(65_000).default(120),
  /** How often a job may be started again without a new checkpoint. */
  restartsWithoutProgress: z.int().min(0).max(100).default(3),
});
export type SlurmSettings = z.output<typeof SlurmSettings>;
