import type { Executor } from "./executor.ts";
import type { SettingsOf } from "./executor-settings.ts";
import type { JobRecord } from "./job-record.ts";
import { localExecutor } from "./local-executor.ts";
import { RayExecutor } from "./ray/executor.ts";
import { SlurmExecutor } from "./slurm/executor.ts";

/** Every executor by the kind in its records and settings. */
export const executors: {
  readonly [K in JobRecord["executor"]]: Executor<Extract<JobRecord, { executor: K }>, SettingsOf<K>>;
} = { local: localExecutor, slurm: new SlurmExecutor(), ray: new RayExecutor() };
