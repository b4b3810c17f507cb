/**
 * `npm run fuzz -- --minutes N [--seed S]`: random and mutated JSON-RPC and documents against the real language server, which must not fall, not
 * take over 5 s for a simple question, and stay under 1 GiB. Every seed is a server of its own for a minute. Ends with one line of JSON a seed.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { makeTinyRun } from "../support/tiny-run.ts";
import { fuzzServer } from "./fuzz-server.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string", default: "1" } },
});
const seconds = Math.round(Number(values.minutes) * 60);
const folder = await mkdtemp(join(tmpdir(), "lfp-fuzz-"));
try {
  const { folder: run } = await makeTinyRun(folder);
  const endMs = performance.now() + seconds * 1000;
  for (let seed = Number(values.seed); performance.now() < endMs; seed += 1) {
    const leftS = Math.ceil((endMs - performance.now()) / 1000);
    const stateFolder = join(folder, "state");
    const report = await fuzzServer({ seed, seconds: Math.min(60, leftS), runsRoot: dirname(run), run, stateFolder });
    console.log(JSON.stringify(report));
    if (report.faults.length > 0) process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true });
}
