import { dirname } from "node:path";
import { expect, test } from "vitest";
import { fuzzServer } from "../../fuzz/fuzz-server.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

// `npm run fuzz -- --minutes 60` for an hour of other seeds.
test.each([1])(
  "a minute of random and mutated messages does not bring the server down, hang it or fill the memory (seed %i)",
  async (seed) => {
    const { folder: run } = await makeTinyRun(await scratchFolder());
    const stateFolder = await scratchFolder();
    const report = await fuzzServer({ seed, seconds: 60, least: 500, runsRoot: dirname(run), run, stateFolder });
    console.info(`${report.messages} messages: ${JSON.stringify(report.answers)}`);
    expect(report.faults).toEqual([]);
    expect(report.messages).toBeGreaterThanOrEqual(500);
    // It was really asked, and really answered: some questions rightly, some wrongly put, some taken back.
    const { ok = 0, usage = 0, cancelled = 0 } = report.answers;
    expect({ ok: ok > 10, usage: usage > 10, cancelled: cancelled > 0 }).toEqual({
      ok: true,
      usage: true,
      cancelled: true,
    });
  },
);
