import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Case, expectSameAsUncut, run, uncut } from "./cut-runs.ts";
import { smallPlan } from "./fake-stages.ts";
import { type Faults, FaultyFiles, systemError } from "./faulty-files.ts";
import { scratchFolder } from "./scratch.ts";

describe("errors of the disk, at every call", () => {
  const CASE: Case = { plan: smallPlan, saveEvery: 1 };
  let reference: Awaited<ReturnType<typeof uncut>>;

  beforeAll(async () => {
    reference = await uncut(CASE);
  });

  const NEEDS_SPACE = /^(open wx?|handle\.(write|sync)|writeSync|mkdir|link|copyFile|openSync)$/;

  test.each([
    { name: "EIO at one call", error: "EIO" as const, matters: () => true, isSticky: false },
    {
      name: "disk full from there on, with half of the write in the file",
      error: "ENOSPC" as const,
      matters: (call: string) => NEEDS_SPACE.test(call),
      isSticky: true,
    },
  ])(
    "$name: the run ends resumable, and resumes to the same end",
    async ({ error, matters, isSticky }) => {
      const root = await scratchFolder();
      const failAt = reference.calls.flatMap((call, i) => (matters(call) ? [i + 1] : []));
      let failures = 0;
      for (const n of failAt) {
        const folder = join(root, `run-${n}`);
        const isHit = (at: number, call: string) => at === n || (isSticky && at > n && matters(call));
        const faults: Faults = {
          at: (at, call) => (isHit(at, call) ? (isSticky ? "half" : "nothing") : "pass"),
          fail(call) {
            throw systemError(error, call);
          },
        };
        const { outcome } = await run(folder, CASE, new FaultyFiles(faults));
        if (outcome.kind === "failed") {
          failures++;
          expect(outcome).toMatchObject({ code: "resource", resumable: true });
          expect(outcome.message).toContain(error);
        } else {
          // Calls whose failure does no harm, such as putting away what is no longer needed.
          expect(outcome).toEqual({ kind: "done" });
        }
        await expectSameAsUncut(folder, CASE, reference.files);
        await rm(folder, { recursive: true });
      }
      expect(failures).toBeGreaterThan(failAt.length * 0.9);
    },
    180_000,
  );
});
