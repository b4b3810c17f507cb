/** The lock of a run as a process of another machine holds it. */
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { thisProcess } from "../../../server/runs/process-identity.ts";
import { runPaths } from "../../../server/runs/run-folder.ts";

/** Writes it as of a job's process that gave its last sign of life so long ago. */
export async function lockElsewhere(folder: string, job: string, silentMs: number): Promise<void> {
  const held = join(runPaths(folder).lock, "1");
  await mkdir(held, { recursive: true });
  const process = { ...(await thisProcess()), host: "another-node" };
  await writeFile(join(held, "holder.json"), JSON.stringify({ process, purpose: "run demo", job, since: "then" }));
  await writeFile(join(held, "heartbeat"), "beat");
  const atS = (Date.now() - silentMs) / 1000;
  await utimes(join(held, "heartbeat"), atS, atS);
}
