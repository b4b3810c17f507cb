import { LocalExecutor } from "../../../server/runs/local-executor.ts";

/** Stands for a language server: `node submitter.ts RUNS_ROOT JOB_JSON` submits a job, says so, and stays. */
const [runsRoot = "", job = "{}"] = process.argv.slice(2);
await new LocalExecutor(runsRoot).submit(JSON.parse(job));
process.stdout.write("submitted\n");
setInterval(() => undefined, 1000);
