import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { constants } from "node:os";
import { basename, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { LfpError } from "../common/errors.ts";
import { openRegular } from "../common/text-file.ts";
import { hasEnded } from "../protocol/run-events.ts";
import { clearCancelRequest, requestCancel } from "./cancel.ts";
import { EventLog } from "./event-log.ts";
import type { Executor, JobHandle, JobSpec } from "./executor.ts";
import { disk, errnoOf, unlessMissing } from "./files.ts";
import { identify, livenessOf, type ProcessIdentity, thisProcess } from "./process-identity.ts";
import { listRuns, readRecord, runPaths, writeRecord } from "./run-folder.ts";
import { Lock, LockedError } from "./run-lock.ts";
import { runProcess, runStatus } from "./run-status.ts";

/** The process of a run could not be started. */
export class JobNotStartedError extends LfpError {
  readonly code = "resource";

  constructor(argv: readonly string[], reason: string) {
    super(`${argv[0]} could not be started: ${reason}. Check that the program is there and may be run.`);
  }
}

/** The process of a run cannot be ended from here. */
export class NotStoppedError extends LfpError {
  readonly code = "resource";
}

/**
 * Runs on this machine, as processes that outlive whoever started them. An editor that closes kills the whole process tree
 * of its language server, so the process that works on a run is no descendant of its submitter: one in between starts it in
 * a session of its own and ends at once, which leaves it to the system's first process. Where cores are wanted by others, an editor say, it
 * has few of them; on an idle machine all.
 */
export class LocalExecutor implements Executor {
  readonly #runsRoot: string;

  constructor(runsRoot: string) {
    this.#runsRoot = resolve(runsRoot);
  }

  async submit(job: JobSpec): Promise<JobHandle> {
    const paths = runPaths(job.runFolder);
    await mkdir(job.runFolder, { recursive: true });
    const process = await runProcess(job.runFolder);
    if (process !== undefined && !(await letsGo(job.runFolder, process))) {
      const purpose = `run ${basename(job.runFolder)}`;
      throw new LockedError(purpose, { process, purpose, since: "its start" });
    }
    await clearCancelRequest(job.runFolder);
    const submittedAt = new Date().toISOString();
    const started = await startDetached(job, paths.output);
    const record = { argv: job.argv, process: started, submittedAt };
    await writeFileAtomically(paths.job, `${JSON.stringify(record, null, 2)}\n`);
    return { runFolder: resolve(job.runFolder) };
  }

  poll(handles: readonly JobHandle[]) {
    return Promise.all(handles.map(({ runFolder }) => runStatus(runFolder)));
  }

  async logs({ runFolder }: JobHandle, offset: number): Promise<Uint8Array> {
    const handle = await unlessMissing(openRegular(runPaths(runFolder).output));
    if (handle === undefined) return new Uint8Array();
    try {
      const buffer = new Uint8Array(LOG_PIECE_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  async cancel({ runFolder }: JobHandle, graceMs = 30_000): Promise<void> {
    const target = await runProcess(runFolder);
    if (target === undefined) return;
    const isHere = (await livenessOf(target)) === "alive";
    await requestCancel(runFolder, target);
    // Windows has no signal that a process could answer; it finds the request within half a second.
    if (isHere && process.platform !== "win32") signalProcess(target, "SIGTERM");
    if (await endsWithin(runFolder, target, graceMs)) return clearCancelRequest(runFolder);
    if (!isHere) {
      throw new NotStoppedError(
        `The run works on ${target.host} and has not stopped within ${graceMs / 1000} s; it still may. Stop it there.`,
      );
    }
    signalProcess(target, "SIGKILL");
    if (!(await endsWithin(runFolder, target, KILL_WAIT_MS))) {
      throw new NotStoppedError(`Process ${target.pid} cannot be ended; the system may be waiting for a device.`);
    }
    await clearCancelRequest(runFolder);
    await recordKill(runFolder, graceMs);
  }

  async adopt(): Promise<JobHandle[]> {
    const folders = (await listRuns(this.#runsRoot)).map((name) => join(this.#runsRoot, name));
    const processes = await Promise.all(folders.map((folder) => runProcess(folder)));
    return folders.filter((_, i) => processes[i] !== undefined).map((runFolder) => ({ runFolder }));
  }
}

const LOG_PIECE_BYTES = 1 << 18;
const KILL_WAIT_MS = 10_000;
const END_WAIT_MS = 10_000;

/** Of a core that another process wants all the time it leaves a run about a quarter. */
export const NICENESS = 5;

/**
 * Given to `node -e`, so that it needs no file of its own, whatever the program was bundled into. The child has the launcher's priority. Linux shares the
 * cores among sessions first (`man 7 sched`, "The autogroup feature"), so that the child's own is lowered too, where the system has that.
 */
const LAUNCHER = `
  const { writeFileSync, openSync } = require("node:fs");
  const { setPriority } = require("node:os");
  const quietly = (work) => { try { work(); } catch {} };
  const job = JSON.parse(process.argv[1]);
  const output = openSync(job.output, "a");
  quietly(() => setPriority(${process.platform === "win32" ? constants.priority.PRIORITY_BELOW_NORMAL : NICENESS}));
  const child = require("node:child_process").spawn(job.argv[0], job.argv.slice(1), {
    cwd: job.cwd, detached: true, windowsHide: true, stdio: ["ignore", output, output],
  });
  child.on("error", (error) => console.log(JSON.stringify({ error: error.message })));
  child.on("spawn", () => {
    if (process.platform === "linux")
      quietly(() => writeFileSync("/proc/" + child.pid + "/autogroup", "${NICENESS}"));
    console.log(JSON.stringify({ pid: child.pid }));
    child.unref();
  });
`;

const Launched = z.union([z.object({ pid: z.int().positive() }), z.object({ error: z.string() })]);

async function startDetached(job: JobSpec, output: string): Promise<ProcessIdentity> {
  const instructions = JSON.stringify({ argv: job.argv, cwd: job.cwd ?? job.runFolder, output: resolve(output) });
  const launcher = spawn(process.execPath, ["-e", LAUNCHER, instructions], {
    detached: true,
    windowsHide: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...job.env },
  });
  const failure = new Promise<never>((_, reject) => {
    launcher.once("error", (error) => reject(new JobNotStartedError(job.argv, error.message)));
  });
  const reply = await Promise.race([text(launcher.stdout), failure]);
  const launched = reply === "" ? { error: "its launcher ended without a word" } : Launched.parse(JSON.parse(reply));
  if ("error" in launched) throw new JobNotStartedError(job.argv, launched.error);
  // One that has ended already is named all the same: the run folder tells how it ended.
  return (await identify(launched.pid)) ?? { ...(await thisProcess()), pid: launched.pid, startTime: "ended" };
}

/** One that we started detached leads a process group, with its helpers in it; one started from a shell does not. */
function signalProcess({ pid }: ProcessIdentity, signal: "SIGTERM" | "SIGKILL"): void {
  const targets = signal === "SIGKILL" && process.platform !== "win32" ? [-pid, pid] : [pid];
  for (const target of targets) {
    try {
      process.kill(target, signal);
    } catch (error) {
      if (errnoOf(error) !== "ESRCH") throw error;
    }
  }
}

/** Whether a run has ended and its process is gone, after a wait: it says how it ended a moment before it goes. */
async function letsGo(runFolder: string, target: ProcessIdentity): Promise<boolean> {
  const { state, process } = await runStatus(runFolder);
  if (process === undefined) return true;
  const isOver = state.kind !== "new" && state.kind !== "interrupted" && hasEnded(state);
  return isOver && (await endsWithin(runFolder, target, END_WAIT_MS));
}

async function endsWithin(runFolder: string, target: ProcessIdentity, limitMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + limitMs;
  for (let waitMs = 20; ; waitMs = Math.min(500, waitMs * 2)) {
    const liveness = await livenessOf(target);
    const isWorking = liveness === "alive" || (liveness !== "gone" && (await runProcess(runFolder)) !== undefined);
    if (!isWorking) return true;
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) return false;
    await delay(Math.min(waitMs, leftMs));
  }
}

/** A process that was killed could not write that it was. */
async function recordKill(runFolder: string, graceMs: number): Promise<void> {
  const name = basename(runFolder);
  const lock = await Lock.acquire(runPaths(runFolder).lock, `run ${name}`, `ending run ${name}`);
  try {
    const record = await readRecord(runFolder);
    if (record === undefined) return;
    const stage = "stage" in record.state ? record.state.stage : undefined;
    const state = { kind: "cancelled" as const, ...(stage === undefined ? {} : { stage }) };
    const events = new EventLog(runPaths(runFolder).events, disk);
    const text = `The run did not stop within ${graceMs / 1000} s and was ended by force.`;
    events.append({ kind: "message", level: "warning", text });
    await writeRecord(runFolder, { ...record, state, updated: new Date().toISOString() });
    events.append({ kind: "state", state });
    events.close();
  } finally {
    await lock.release();
  }
}
