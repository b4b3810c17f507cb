import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canStartSlurm, startSlurm, type TestSlurm } from "../../support/slurm.ts";
import { type FakeSweep, makeFakeSweep } from "./fake-sweep.ts";

describe.skipIf(!canStartSlurm)("a sweep on a Slurm of one node", { timeout: 240_000 }, () => {
  let slurm: TestSlurm;
  let sweep: FakeSweep;
  beforeAll(async () => {
    slurm = await startSlurm();
    sweep = await makeFakeSweep();
  }, 120_000);
  afterAll(() => slurm.stop(), 60_000);

  it("has the bytes of its runs at home, also where its submitter is killed in between", async () => {
    const folder = join(sweep.root, "on-slurm");
    for (const kills of [0, 1, 2]) {
      const child = sweep.start(folder, "slurm");
      const exit = once(child, "exit");
      // Another line each time: of its record, of a run that was submitted, of one that works.
      if (child.stdout !== null) for (let line = 0; line <= kills; line++) await once(child.stdout, "data");
      child.kill("SIGKILL");
      expect(await exit).toEqual([null, "SIGKILL"]);
    }
    expect(await once(sweep.start(folder, "slurm"), "exit")).toEqual([0, null]);
    await sweep.expectAllOnce(folder);
    expect((await slurm.ask("squeue", "--noheader", "--states=RUNNING,PENDING")).trim()).toBe("");
  });
});
