/** Cancelling a sweep some of whose runs are damaged: the others are stopped all the same. */
import { access, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { cancelSweep } from "../../../server/pipeline/sweep/run-sweep.ts";
import { placeSchemas } from "../../../server/runs/executor-settings.ts";
import { submitRun } from "../../../server/runs/jobs.ts";
import { prepareRun, runPaths } from "../../../server/runs/run-folder.ts";
import { LockFolderError } from "../../../server/runs/run-lock.ts";
import { useFakeSlurm } from "../../support/fake-slurm.ts";
import { scratchFolder } from "../runs/scratch.ts";

vi.mock("../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../server/runs/local-executor.ts");
  const { SlurmExecutor } = await import("../../../server/runs/slurm/executor.ts");
  const times = { pollMs: 0, hurryMs: 1, mostMs: 1, absentMs: 300_000, commandMs: 20_000 };
  return { executors: { local: localExecutor, slurm: new SlurmExecutor(times) } };
});

const fake = useFakeSlurm();
const place = { executor: "slurm", settings: placeSchemas.slurm.parse({}) } as const;

beforeEach(async () => {
  await fake.answer("sbatch", "echo 1");
  await fake.answer(
    "squeue",
    `[ -e "$FAKE/over" ] || echo "1|PENDING|Priority|$(grep -o 'job-name=[^ ]*' "$FAKE/sbatch.calls" | cut -d= -f2)|/"`,
  );
  await fake.answer("scancel", 'sleep 0.3; touch "$FAKE/over"');
});

/** A sweep of two runs, of which the second waits in the cluster. */
async function waitingSweep() {
  const folder = await scratchFolder();
  const names = ["a", "b"];
  const [first = "", second = ""] = await Promise.all(names.map((name) => prepareRun(folder, name, {})));
  const runs = names.map((name) => ({ name, digest: name, settings: {}, isAsked: true }));
  await writeFile(join(folder, "sweep.json"), JSON.stringify({ format: 1, runs }));
  await submitRun({ runFolder: second, argv: ["lfp"] }, place);
  return { folder, first };
}

test("a run whose experiment cannot be read keeps no other from being stopped", async () => {
  const { folder, first } = await waitingSweep();
  await writeFile(runPaths(first).experiment, "damaged");
  expect(await cancelSweep(folder)).toEqual(["b"]);
});

test("a run that cannot be stopped is said once the others are stopped", async () => {
  const { folder, first } = await waitingSweep();
  await mkdir(join(runPaths(first).lock, "99999999999999999999"), { recursive: true });
  await expect(cancelSweep(folder)).rejects.toThrow(LockFolderError);
  await access(join(fake.folder(), "over"));
});
