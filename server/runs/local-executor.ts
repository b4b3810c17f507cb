import { spawn } from "node:child_process";
import { constants } from "node:os";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { type Executor, JobNotStartedError, type JobSpec } from "./executor.ts";
import type { SettingsOf } from "./executor-settings.ts";
import type { LocalJob } from "./job-record.ts";
import { identify, livenessOf, type ProcessIdentity, thisProcess } from "./process-identity.ts";
import { runPaths } from "./run-folder.ts";
import { lockHolder } from "./run-lock.ts";
import { stopProcess } from "./stop-process.ts";

/**
 * Runs on this machine, as processes that outlive their submitter. An editor that closes kills the whole process tree
 * of its language server, so the run's process must not be a descendant of its submitter: a launcher starts it in a
 * session of its own and exits at once, which leaves it to the system's first process. It has low priority: where other
 * programs, an editor say, want the cores it gets few of them; on an idle machine all.
 */
export const localExecutor: Executor<LocalJob, SettingsOf<"local">> = {
  async submit(job) {
    const submittedAt = new Date().toISOString();
    const process = await startDetached(job, runPaths(job.runFolder).output);
    return { executor: "local", argv: [...job.argv], process, submittedAt };
  },

  async state(_folder, { process }) {
    return { state: (await livenessOf(process)) === "alive" ? "working" : "gone" };
  },

  async cancel(folder, { process }, graceMs) {
    // The lock's holder works on the run; before the lock is taken, the process that was started is about to.
    const target = (await lockHolder(runPaths(folder).lock))?.process ?? process;
    if ((await livenessOf(target)) !== "gone") await stopProcess(folder, target, graceMs);
  },

  process: ({ process }) => process,
};

/** Nice value 5: a run that shares a core with a busy normal-priority process gets about a quarter of it. */
export const NICENESS = 5;

/**
 * The launcher's program, passed to `node -e`, so that it needs no file of its own, however the program was bundled.
 * The child inherits the launcher's priority. Linux shares the cores among sessions first (`man 7 sched`, "The
 * autogroup feature"), so the launcher also lowers the priority of the child's session, where the system has
 * autogroups.
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
    launcher.once("error", (error) => reject(notStarted(job.argv, error.message)));
  });
  const reply = await Promise.race([text(launcher.stdout), failure]);
  const launched = reply === "" ? { error: "its launcher ended without a word" } : Launched.parse(JSON.parse(reply));
  if ("error" in launched) throw notStarted(job.argv, launched.error);
  // A process that has ended already gets an identity too: the run folder tells how it ended.
  return (await identify(launched.pid)) ?? { ...(await thisProcess()), pid: launched.pid, startTime: "ended" };
}

function notStarted([program]: JobSpec["argv"], reason: string): JobNotStartedError {
  return new JobNotStartedError(
    `${program} could not be started: ${reason}. Check that the program is there and may be run.`,
  );
}
