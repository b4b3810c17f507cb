import type { ProcessIdentity } from "../../../server/runs/process-identity.ts";
import { runWork } from "../../../server/runs/run-status.ts";

/** The living process that works on a run, or is about to. */
export async function workerOf(folder: string): Promise<ProcessIdentity | undefined> {
  return (await runWork(folder)).process;
}
