/** Commands that make many runs, on a real Slurm of one node: their results are those at home. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { canStartSlurm, startSlurm, type TestSlurm } from "../../../support/slurm.ts";
import { useStateFolder } from "../../../support/state-folder.ts";
import { expectCalibrationAsAtHome, expectSeedsAsAtHome } from "./same-bytes.ts";

const stateFolder = useStateFolder("real-commands");

describe.skipIf(!canStartSlurm)("on a Slurm of one node", { timeout: 600_000 }, () => {
  let slurm: TestSlurm;
  beforeAll(async () => {
    slurm = await startSlurm();
  }, 90_000);
  afterAll(() => slurm.stop());

  test("lfp run --seeds leaves what runs at home leave", () => expectSeedsAsAtHome(stateFolder()));
  test("lfp calibrate leaves what it leaves at home", () => expectCalibrationAsAtHome(stateFolder()));
});
