import type { Executor } from "./executor.ts";
import type { JobRecord } from "./job-record.ts";
import { localExecutor } from "./local-executor.ts";

/** Every executor by the kind in its records. */
export const executors: {
  readonly [K in JobRecord["executor"]]: Executor<Extract<JobRecord, { executor: K }>>;
} = { local: localExecutor };
