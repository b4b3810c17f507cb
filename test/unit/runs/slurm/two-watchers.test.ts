/** A job that has saved and ended early, and whoever looks after its run: the run goes on once. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { placeSchemas } from "../../../../server/runs/executor-settings.ts";
import { notePaths } from "../../../../server/runs/job-notes.ts";
import { jobNameOf } from "../../../../server/runs/job-record.ts";
import { cancelRun, JobThereError, submitRun } from "../../../../server/runs/jobs.ts";
import { isOwnJob } from "../../../../server/runs/own-jobs.ts";
import { prepareRun } from "../../../../server/runs/run-folder.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { useFakeSlurm } from "../../../support/fake-slurm.ts";
import { scratchFolder } from "../scratch.ts";

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { SlurmExecutor } = await import("../../../../server/runs/slurm/executor.ts");
  const times = { pollMs: 0, hurryMs: 1, mostMs: 1, absentMs: 300_000, commandMs: 20_000 };
  return { executors: { local: localExecutor, slurm: new SlurmExecutor(times) } };
});

const fake = useFakeSlurm();
const place = { executor: "slurm", settings: placeSchemas.slurm.parse({}) } as const;

/** Every job that was submitted waits; takes its time, so that others come in between. */
const SBATCH = `
for argument; do case $argument in --job-name=*) name=\${argument#*=} ;; esac; done
sleep 0.3
until mkdir "$FAKE/job-$((++id))" 2>/dev/null; do :; done
echo "$name" > "$FAKE/job-$id/name"
echo "$id"`;
const SQUEUE = `
for job in "$FAKE"/job-*; do
  [ -e "$job/name" ] && ! [ -e "$job/over" ] && echo "\${job##*-}|PENDING|Priority|$(cat "$job/name")|/"
done; true`;

beforeEach(async () => {
  await fake.answer("sbatch", SBATCH);
  await fake.answer("squeue", SQUEUE);
  await fake.answer("scancel", 'for id; do :; done; touch "$FAKE/job-$id/over"');
});

/** A run whose job has saved and ended, and which Slurm did not start again. */
async function savedRun(): Promise<string> {
  const runFolder = await prepareRun(await scratchFolder(), "demo", {});
  const job = await submitRun({ runFolder, argv: ["lfp"] }, place);
  await writeFile(join(fake.folder(), "job-1", "over"), "");
  await writeFile(notePaths(runFolder, jobNameOf(job) ?? "").exit, "75\n");
  expect(await runStatus(runFolder)).toMatchObject({ work: "gone", mayGoOn: true });
  return runFolder;
}

test("of several that go on with a run at once, one submits it and the others find it taken", async () => {
  const runFolder = await savedRun();
  const watchers = Array.from({ length: 4 }, () => submitRun({ runFolder, argv: ["lfp"], isAgain: true }, place));
  const ends = await Promise.allSettled(watchers);
  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const end of ends) if (end.status === "rejected") expect(end.reason).toBeInstanceOf(JobThereError);
  expect(await fake.calls("sbatch")).toHaveLength(2);
  const { work, job } = await runStatus(runFolder);
  expect({ work, id: job?.executor === "slurm" ? job.id : "" }).toEqual({ work: "waiting", id: "2" });
  expect(await readFile(notePaths(runFolder, jobNameOf(job) ?? "").stop, "utf8").catch(() => "none")).toBe("none");
});

test("who comes to go on with a run that has gone on and ended meanwhile leaves it", async () => {
  const runFolder = await savedRun();
  const second = await submitRun({ runFolder, argv: ["lfp"], isAgain: true }, place);
  await writeFile(join(fake.folder(), "job-2", "over"), "");
  await writeFile(notePaths(runFolder, jobNameOf(second) ?? "").exit, "0\n");
  await expect(submitRun({ runFolder, argv: ["lfp"], isAgain: true }, place)).rejects.toThrow("has gone on");
  expect(await fake.calls("sbatch")).toHaveLength(2);
});

test("a run that is cancelled before it goes on stays where it is", async () => {
  const runFolder = await savedRun();
  expect(await cancelRun(runFolder)).toBe(true);
  expect(await runStatus(runFolder)).toMatchObject({ work: "gone", mayGoOn: false });
  await expect(submitRun({ runFolder, argv: ["lfp"], isAgain: true }, place)).rejects.toThrow(JobThereError);
  expect(await cancelRun(runFolder)).toBe(false);
  expect(await fake.calls("sbatch")).toHaveLength(1);
});

test("a run that is cancelled while it is submitted again is not left to go on", async () => {
  const runFolder = await savedRun();
  const goingOn = submitRun({ runFolder, argv: ["lfp"], isAgain: true }, place);
  await expect.poll(() => fake.calls("sbatch"), { interval: 10 }).toHaveLength(2);
  expect(await cancelRun(runFolder)).toBe(true);
  await goingOn;
  expect(await runStatus(runFolder)).toMatchObject({ work: "gone", mayGoOn: false });
});

test("a job is known as one's own by the user's state folder alone", async () => {
  const runFolder = await savedRun();
  const name = jobNameOf((await runStatus(runFolder)).job) ?? "";
  expect(await isOwnJob(name)).toBe(true);
  vi.stubEnv("LFP_STATE_DIR", join(runFolder, "of-somebody-else"));
  expect(await isOwnJob(name)).toBe(false);
  await mkdir(join(runFolder, "of-somebody-else"));
  expect(await isOwnJob(name)).toBe(false);
  vi.unstubAllEnvs();
});
