import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";

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
export function residentMB(pid: number | undefined): number | undefined {
  if (process.platform !== "linux" || pid === undefined) return undefined;
  try {
    // See proc_pid_status(5): VmRSS is in kB.
    const [, kB] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kB === undefined ? undefined : Number(kB) / 1024;
  } catch {
    // The process ended in between; whoever waits for its answer hears of it.
    return undefined;
  }
}
