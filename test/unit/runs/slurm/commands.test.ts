/** Commands that make many runs, with fakes of Slurm's commands: their results are those at home. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, test } from "vitest";
import { RUNNING_SBATCH, RUNNING_SQUEUE, useFakeSlurm } from "../../../support/fake-slurm.ts";
import { scratchFolder } from "../scratch.ts";
import { expectCalibrationAsAtHome, expectSeedsAsAtHome } from "./same-bytes.ts";

const fake = useFakeSlurm();

beforeEach(async () => {
  await fake.answer("sbatch", RUNNING_SBATCH);
  await fake.answer("squeue", RUNNING_SQUEUE);
});

async function folder(): Promise<string> {
  const made = join(await scratchFolder(), "work");
  await mkdir(made);
  return made;
}

describe("with fakes of Slurm's commands", { timeout: 600_000 }, () => {
  test("lfp run --seeds leaves what runs at home leave", async () => expectSeedsAsAtHome(await folder()));
  test("lfp calibrate leaves what it leaves at home", async () => expectCalibrationAsAtHome(await folder()));
});
