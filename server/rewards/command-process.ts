import type { ChildProcess } from "node:child_process";
import { readTextFile } from "../common/text-file.ts";

/** Kills a program and the processes that it started. Not an error where it is gone. */
export function killTree({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    // Started detached, it leads a group of its own; Windows has no groups.
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Memory that a process holds, in MB; undefined where the system does not say, or the process is gone. */
export async function residentMB(pid: number | undefined): Promise<number | undefined> {
  if (process.platform !== "linux" || pid === undefined) return undefined;
  // A process that ended in between has no file; whoever waits for its answer hears of its end.
  const status = await readTextFile(`/proc/${pid}/status`, "record").catch(() => "");
  // See proc_pid_status(5): VmRSS is in kB.
  const [, kB] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return kB === undefined ? undefined : Number(kB) / 1024;
}
