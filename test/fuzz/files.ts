/**
 * `npm run fuzz:files -- --minutes N [--seed S]`: mutated, cut, endless and special files against everything that reads files, which must read them or
 * refuse them with an error of ours within 30 s and 2 GiB. Every seed takes a minute. Ends with one line of JSON a seed.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzzFiles } from "./fuzz-files.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string", default: "1" } },
});
const endMs = performance.now() + Number(values.minutes) * 60_000;
for (let seed = Number(values.seed); performance.now() < endMs; seed += 1) {
  const folder = await mkdtemp(join(tmpdir(), "lfp-fuzz-"));
  try {
    const report = await fuzzFiles(folder, seed, Math.min(60, Math.ceil((endMs - performance.now()) / 1000)));
    console.log(JSON.stringify(report));
    if (report.faults.length > 0) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}
