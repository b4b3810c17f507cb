import { submitRun } from "../../../server/runs/jobs.ts";

/** Stands for a language server: `node submitter.ts JOB_JSON` submits a job, says so, and stays. */
await submitRun(JSON.parse(process.argv[2] ?? "{}"));
process.stdout.write("submitted\n");
setInterval(() => undefined, 1000);
