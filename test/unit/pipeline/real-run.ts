import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { everyNth } from "../runs/fake-stages.ts";
import { FaultyFiles } from "../runs/faulty-files.ts";
import { type TinyRunName, tinyRuns } from "./tiny-runs.ts";

/**
 * A small run of the real pipeline as its own process: `node real-run.ts FOLDER '{"run": "quick", "killAt": 17, "half": true}'`. It saves at every
 * second step; `killAt` ends it with SIGKILL at the n-th call that changes the disk, before the call or after half of it. The last
 * line on standard output is what came of it: outcome, warnings, checkpoints gone on from, the number of calls, and those of each stage.
 */
const [folder = "", json = "{}"] = process.argv.slice(2);
const options: { run?: TinyRunName; killAt?: number; half?: boolean } = JSON.parse(json);
const { run = "quick", killAt = Number.POSITIVE_INFINITY, half = false } = options;

const { files, calls } = new FaultyFiles({
  at: (n) => (n < killAt ? "pass" : half ? "half" : "nothing"),
  fail() {
    process.kill(process.pid, "SIGKILL");
    // The signal is delivered before the system call returns; this line is for the compiler.
    throw new Error("killed");
  },
});
const messages: string[] = [];
const stages: Record<string, { from: number; to: number }> = {};
const resumed: string[] = [];
const plan = await planExperiment(parseExperiment(tinyRuns[run].experiment), { run: "tiny" });
process.stdout.write("begins\n");
const outcome = await runPipeline(plan, folder, {
  seed: 1,
  deviceClass: "cpu",
  // As many such processes work at a time as there are cores.
  openDevice: () => createCpuDevice({ threads: 1 }),
  openDevices: (most) => Promise.all(Array.from({ length: Math.min(most, 2) }, () => createCpuDevice({ threads: 1 }))),
  checkpointDue: everyNth(2),
  queued: false,
  files,
  onEvent: (event) => {
    if (event.kind === "message") messages.push(event.text);
    if (event.kind === "stage-started") stages[event.stage] = { from: calls.length, to: calls.length };
    if (event.kind === "stage-finished")
      stages[event.stage] = { from: stages[event.stage]?.from ?? 0, to: calls.length };
    if (event.kind === "stage-resumed") resumed.push(`${event.stage} from checkpoint ${event.generation}`);
  },
});
process.stdout.write(`${JSON.stringify({ outcome, messages, resumed, calls: calls.length, stages })}\n`);
