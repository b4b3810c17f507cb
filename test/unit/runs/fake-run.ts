import { setTimeout as delay } from "node:timers/promises";
import { abortOnTermination } from "../../../server/runs/cancel.ts";
import { JOB_VARIABLE } from "../../../server/runs/executor.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { everyNth, fakePlan } from "./fake-stages.ts";
import { FaultyFiles } from "./faulty-files.ts";

/**
 * A run as its own process: `node fake-run.ts FOLDER '{"killAt": 17, "half": true, ...}'`. `killAt` ends it with SIGKILL at the
 * n-th call that changes the disk, before the call or after half of it; `slowMs` is how long each such call takes; `lingerMs` keeps the process once the run is over. Exit status 0 done, 75 cancelled, 1 failed.
 */
const [folder = "", json = "{}"] = process.argv.slice(2);
const options: {
  killAt?: number;
  half?: boolean;
  steps?: number;
  pauseMs?: number;
  queued?: boolean;
  lingerMs?: number;
  shared?: string;
  everyNth?: number;
  seed?: number;
  slowMs?: number;
} = JSON.parse(json);
const {
  killAt = Number.POSITIVE_INFINITY,
  half = false,
  queued = false,
  lingerMs = 0,
  shared,
  everyNth: every = 2,
  slowMs = 0,
  seed = 7,
  ...planOptions
} = options;

const { files } = new FaultyFiles({
  at: (n) => {
    if (slowMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slowMs);
    return n < killAt ? "pass" : half ? "half" : "nothing";
  },
  fail() {
    process.kill(process.pid, "SIGKILL");
    // The signal is delivered before the system call returns; this line is for the compiler.
    throw new Error("killed");
  },
});
const job = process.env[JOB_VARIABLE];
const { signal } = abortOnTermination();
process.stdout.write("begins\n");
const outcome = await runPipeline(fakePlan(planOptions), folder, {
  seed,
  deviceClass: "cpu",
  checkpointDue: everyNth(every),
  queued,
  shared,
  ...(job === undefined ? {} : { job }),
  signal,
  files,
});
process.stdout.write(`${JSON.stringify(outcome)}\n`);
await delay(lingerMs);
process.exitCode = outcome.kind === "done" ? 0 : outcome.kind === "cancelled" ? 75 : 1;
