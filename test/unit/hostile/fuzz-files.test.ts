import { expect, test } from "vitest";
import { fuzzFiles } from "../../fuzz/fuzz-files.ts";
import { scratchFolder } from "../runs/scratch.ts";

// `npm run fuzz:files -- --minutes 60` for an hour of other seeds.
test.skipIf(process.platform === "win32")(
  "half a minute, and 150 at least, of mutated, cut, endless and special files are read or refused with an error of ours",
  { timeout: 240_000 },
  async () => {
    const { faults, files, answers } = await fuzzFiles(await scratchFolder(), 1, 30, 150);
    console.info(`${files} files: ${JSON.stringify(answers)}`);
    expect(faults).toEqual([]);
    expect(files).toBeGreaterThanOrEqual(150);
    expect(answers["read"]).toBeGreaterThan(5);
    expect(answers["input"]).toBeGreaterThan(20);
  },
);
