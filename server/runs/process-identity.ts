import { execFile } from "node:child_process";
import { readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { promisify } from "node:util";
import { z } from "zod";
import { isAlive } from "../common/alive.ts";
import { readTextFile } from "../common/text-file.ts";
import { errnoOf, unlessMissing } from "./files.ts";

/** Identifies one process uniquely: process ids are reused, but not with the same start time in the same boot. */
export const ProcessIdentity = z.object({
  pid: z.int().positive(),
  /** Start time, in the form that the system gives; empty where it gives none. */
  startTime: z.string(),
  /** Identifies the machine's current boot; empty where the system does not tell. */
  bootId: z.string(),
  host: z.string(),
  /** Process ids are valid only inside their namespace (one container); empty where the system has no namespaces. */
  pidNamespace: z.string(),
});
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

/**
 * `alive` and `gone` are certain. `other-boot`: it ran on a machine of this name before a reboot. `elsewhere`: on
 * another machine or in another container, where we cannot check.
 */
export type Liveness = "alive" | "gone" | "other-boot" | "elsewhere";

/** Whether a process still runs. A zombie does not. */
export async function livenessOf(identity: ProcessIdentity): Promise<Liveness> {
  const here = await thisProcess();
  if (identity.host !== here.host || identity.pidNamespace !== here.pidNamespace) return "elsewhere";
  if (identity.bootId !== here.bootId) return "other-boot";
  const startTime = await lookUp(identity.pid);
  if (startTime === undefined) return "gone";
  const isUnknown = startTime === "" || identity.startTime === "";
  return isUnknown || startTime === identity.startTime ? "alive" : "gone";
}

/** The identity of a running process on this machine; `undefined` when no process has this id. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const startTime = await lookUp(pid);
  return startTime === undefined ? undefined : { ...(await place()), pid, startTime };
}

/** The identity of the calling process. */
export function thisProcess(): Promise<ProcessIdentity> {
  self ??= identifySelf();
  return self;
}

/** For people: `process 4711 on lab-3`. */
export function describeProcess({ pid, host }: ProcessIdentity): string {
  return `process ${pid} on ${host}`;
}

/** Whether both name the same process. */
export function isSameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return (
    a.pid === b.pid &&
    a.startTime === b.startTime &&
    a.bootId === b.bootId &&
    a.host === b.host &&
    a.pidNamespace === b.pidNamespace
  );
}

let self: Promise<ProcessIdentity> | undefined;

async function identifySelf(): Promise<ProcessIdentity> {
  return { ...(await place()), pid: process.pid, startTime: (await lookUp(process.pid)) ?? "" };
}

/**
 * The start time of a running process, empty when the system does not tell; `undefined` when there is no such process.
 */
async function lookUp(pid: number): Promise<string | undefined> {
  if (!isAlive(pid)) return undefined;
  if (process.platform === "linux") return startOnLinux(pid);
  return process.platform === "win32" ? "" : startByPs(pid);
}

/**
 * Reads fields 3 (state) and 22 (start time in clock ticks since boot) of proc_pid_stat(5); the name before them may
 * contain anything.
 */
async function startOnLinux(pid: number): Promise<string | undefined> {
  const text = await unlessMissing(readTextFile(`/proc/${pid}/stat`, "record").catch(goneWhileReading));
  // If /proc hides other users' processes the file cannot be read, although the process runs.
  if (text === undefined) return isAlive(pid) ? "" : undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const isZombie = fields[0] === "Z" || fields[0] === "X";
  return isZombie ? undefined : (fields[19] ?? "");
}

async function startByPs(pid: number): Promise<string | undefined> {
  const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
  const { stdout } = await promisify(execFile)("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { env }).catch(() => ({
    stdout: "",
  }));
  const match = /^(\S+)\s+(\S.*)$/.exec(stdout.trim());
  return match === null || match[1]?.startsWith("Z") ? undefined : match[2];
}

function goneWhileReading(error: unknown): undefined {
  if (errnoOf(error) === "ESRCH") return undefined;
  throw error;
}

async function place(): Promise<Omit<ProcessIdentity, "pid" | "startTime">> {
  return { host: hostname(), bootId: await bootId(), pidNamespace: await pidNamespace() };
}

async function bootId(): Promise<string> {
  if (process.platform === "linux") {
    return (await readTextFile("/proc/sys/kernel/random/boot_id", "record").catch(() => "")).trim();
  }
  if (process.platform !== "darwin") return "";
  const { stdout } = await promisify(execFile)("sysctl", ["-n", "kern.bootsessionuuid"]).catch(() => ({ stdout: "" }));
  return stdout.trim();
}

async function pidNamespace(): Promise<string> {
  return process.platform === "linux" ? readlink("/proc/self/ns/pid").catch(() => "") : "";
}
