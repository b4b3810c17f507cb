import { expect, test } from "vitest";
import { fuzzFiles } from "../../fuzz/fuzz-files.ts";
import { scratchFolder } from "../runs/scratch.ts";

// `npm run fuzz:files -- --minutes 60` for an hour of other seeds.
test.skipIf(process.platform === "win32")(
  "half a minute of mutated, cut, endless and special files are read or refused with an error of ours",
  { timeout: 120_000 },
  async () => {
    const { faults, files, answers } = await fuzzFiles(await scratchFolder(), 1, 30);
    expect(faults).toEqual([]);
    expect(files).toBeGreaterThan(50);
    expect(answers["read"]).toBeGreaterThan(5);
    expect(answers["input"]).toBeGreaterThan(20);
  },
);
