import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Case, expectSameAsUncut, newestCheckpoint, run, uncut } from "./cut-runs.ts";
import { smallPlan } from "./fake-stages.ts";
import { type Faults, FaultyFiles, systemError } from "./faulty-files.ts";
import { scratchFolder } from "./scratch.ts";

/** What a full disk refuses; it still lets go, move and cut. */
const NEEDS_SPACE = /^(open wx?|handle\.(write|sync)|writeSync|mkdir|link|copyFile|openSync)$/;

describe("errors of the disk, at every call", () => {
  const CASE: Case = { plan: smallPlan, saveEvery: 1 };
  let reference: Awaited<ReturnType<typeof uncut>>;

  beforeAll(async () => {
    reference = await uncut(CASE);
  });

  /** The checkpoint that stands when the n-th call fails: the last one put in place before, of a stage not yet finished. */
  function checkpointBefore(n: number): number | undefined {
    const renames = reference.calls.slice(0, n - 1).filter((call) => /^rename (\d{6}|fake-)/.test(call));
    const last = /\d{6}$/.exec(renames.at(-1) ?? "")?.[0];
    return last === undefined ? undefined : Number(last);
  }

  test.each<{ name: string; error: "EIO" | "ENOSPC"; matters: RegExp; how: "nothing" | "half"; isSticky: boolean }>([
    { name: "EIO at one call", error: "EIO", matters: /./, how: "nothing", isSticky: false },
    { name: "EIO in the middle of one write", error: "EIO", matters: /write/, how: "half", isSticky: false },
    { name: "disk full from one call on", error: "ENOSPC", matters: NEEDS_SPACE, how: "half", isSticky: true },
  ])(
    "$name: the run ends resumable, and resumes to the same end",
    async ({ error, matters, how, isSticky }) => {
      const root = await scratchFolder();
      const failAt = reference.calls.flatMap((call, i) => (matters.test(call) ? [i + 1] : []));
      let failures = 0;
      for (const n of failAt) {
        const folder = join(root, `run-${n}`);
        const faults: Faults = {
          at: (at, call) => (at === n || (isSticky && at > n && matters.test(call)) ? how : "pass"),
          fail(call) {
            throw systemError(error, call);
          },
        };
        const { outcome } = await run(folder, CASE, new FaultyFiles(faults));
        if (outcome.kind === "failed") {
          failures++;
          expect(outcome).toMatchObject({ code: "resource", resumable: true });
          expect(outcome.message).toContain(error);
          if (how === "nothing") expect(await newestCheckpoint(folder)).toBe(checkpointBefore(n));
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
