/**
 * `lfp sweep` with runs of fake stages: `node sweep-submitter.ts SWEEP FOLDER [WHERE]`. A run's steps are its
 * experiment's tuning steps. Ends with 0 when every run is done.
 */
import { fileURLToPath } from "node:url";
import { loadExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { tuningOf } from "../../../server/pipeline/experiment/schema.ts";
import { loadSweep } from "../../../server/pipeline/sweep/expand.ts";
import { runSweep } from "../../../server/pipeline/sweep/run-sweep.ts";
import { placeSweep, recordSweep } from "../../../server/pipeline/sweep/sweep-folder.ts";
import { RunPlace } from "../../../server/protocol/runs.ts";
import { abortOnTermination } from "../../../server/runs/cancel.ts";
import { readPlace } from "../../../server/runs/executor-settings.ts";
import { runPaths } from "../../../server/runs/run-folder.ts";
import { sharedStages } from "../../../server/runs/shared-stages.ts";
import { factsOfTuning } from "../../../server/tuning/tunings.ts";

const [path = "", folder = "", where = "local"] = process.argv.slice(2);
const place = await readPlace(RunPlace.parse(where));
const program = fileURLToPath(new URL("../runs/fake-run.ts", import.meta.url));
const stated = await loadSweep(path);
const ended = await runSweep(folder, {
  open: async () => {
    const placed = await placeSweep(folder, stated);
    await recordSweep(folder, placed);
    process.stdout.write("recorded\n");
    return placed.runs;
  },
  atMost: 2,
  onAbort: "stop",
  signal: abortOnTermination().signal,
  pollMs: 50,
  place,
  jobOf: async ({ folder: run, isAgain }) => {
    const experiment = await loadExperiment(runPaths(run).experiment);
    const tuning = tuningOf(experiment);
    const steps = tuning === undefined ? 0 : factsOfTuning(tuning).steps;
    const options = { steps, pauseMs: 60, seed: experiment.seed, shared: sharedStages(folder) };
    return { runFolder: run, argv: [process.execPath, program, run, JSON.stringify(options)], isAgain };
  },
  onState: (run, state) => process.stdout.write(`${JSON.stringify({ run, state })}\n`),
});
process.exitCode = ended.every(({ failure }) => failure === undefined) ? 0 : 75;
