import { submitRun } from "../../../server/runs/jobs.ts";

/** Stands for a language server: `node submitter.ts JOB_JSON [PLACE_JSON]` submits a job, says so, and stays. */
const [job = "{}", place] = process.argv.slice(2);
await submitRun(JSON.parse(job), place === undefined ? undefined : JSON.parse(place));
process.stdout.write("submitted\n");
setInterval(() => undefined, 1000);
