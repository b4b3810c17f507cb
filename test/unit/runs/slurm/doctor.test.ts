import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useFakeSlurm } from "../../../support/fake-slurm.ts";
import { jsonOf, runLfp } from "../../../support/run-lfp.ts";

const fake = useFakeSlurm();

async function doctor(settings: object) {
  const path = join(fake.folder(), "executors.json");
  await writeFile(path, JSON.stringify({ slurm: settings }));
  return runLfp(["doctor", "--on", "slurm", "--json"], { env: { LFP_EXECUTORS: path } });
}

const problemsOf = (result: unknown): string[] => {
  const { checks } = result as { checks: { what: string; ok: boolean }[] };
  return checks.filter(({ ok }) => !ok).map(({ what }) => what);
};

test("lfp doctor --on slurm has Slurm check a job with the settings, and submits none", async () => {
  await fake.answer("sinfo", "echo 'gpu*|up|2-00:00:00|8|gpu:4'; echo 'cpu|up|infinite|20|(null)'");
  await fake.answer("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1");
  const ran = await doctor({ partition: "gpu", gres: "gpu:1" });
  expect(ran.code).toBe(0);
  expect(problemsOf(jsonOf(ran))).toEqual([]);
  expect(ran.stdout).toContain("gpu* (up, 8 nodes, at most 2-00:00:00, gpu:4), cpu (up, 20 nodes, at most infinite)");
  expect(await fake.calls("sbatch")).toEqual([
    "--version",
    "--test-only --requeue --signal=B:USR1@120 --export=NONE --partition=gpu --gres=gpu:1 --wrap=true",
  ]);
});

test("lfp doctor --on slurm says what Slurm refuses, and that a shared folder is not there", async () => {
  await fake.answer(
    "sbatch",
    `case $1 in --test-only) echo 'sbatch: error: invalid partition specified: foo' >&2; exit 1 ;; esac`,
  );
  const ran = await doctor({ partition: "foo", sharedFolder: join(fake.folder(), "nowhere") });
  expect(ran.code).toBe(6);
  expect(problemsOf(jsonOf(ran))).toEqual(["a job", "shared folder"]);
  expect(ran.stdout).toContain("invalid partition specified: foo");
});

test("lfp doctor --on slurm says that settings cannot be read", async () => {
  const ran = await doctor({ partitio: "foo" });
  expect(problemsOf(jsonOf(ran))).toEqual(["settings"]);
});

test("lfp doctor --on slurm names the commands that are missing", async () => {
  const path = process.env["PATH"];
  await fake.remove("squeue");
  process.env["PATH"] = fake.folder();
  const ran = await doctor({});
  process.env["PATH"] = path;
  // The fakes need bash, which is not in their folder either.
  expect(ran.code).toBe(6);
  expect(problemsOf(jsonOf(ran))).toContain("squeue");
  expect(ran.stdout).toContain("squeue is not on PATH: Slurm's commands are on a cluster's login node");
});
