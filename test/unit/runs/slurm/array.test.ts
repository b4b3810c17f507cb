/** Many runs as one array of jobs, with commands of Slurm that answer as a test says. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import type { JobStanding } from "../../../../server/runs/executor.ts";
import { placeSchemas } from "../../../../server/runs/executor-settings.ts";
import { notePaths } from "../../../../server/runs/job-notes.ts";
import { JobRecord, type SlurmJob } from "../../../../server/runs/job-record.ts";
import { submitRuns } from "../../../../server/runs/jobs.ts";
import { runMany } from "../../../../server/runs/many-runs.ts";
import { thisProcess } from "../../../../server/runs/process-identity.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun, runPaths } from "../../../../server/runs/run-folder.ts";
import { Lock } from "../../../../server/runs/run-lock.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { ask, holdsTask } from "../../../../server/runs/slurm/commands.ts";
import { SlurmExecutor } from "../../../../server/runs/slurm/executor.ts";
import { useFakeSlurm } from "../../../support/fake-slurm.ts";
import { smallPlan } from "../fake-stages.ts";
import { PATIENT, scratchFolder } from "../scratch.ts";

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { SlurmExecutor } = await import("../../../../server/runs/slurm/executor.ts");
  return { executors: { local: localExecutor, slurm: new SlurmExecutor(times) } };
});

const times = vi.hoisted(() => ({ pollMs: 0, hurryMs: 1, mostMs: 1, absentMs: 60_000, commandMs: 10_000 }));
const fake = useFakeSlurm();
const place = { executor: "slurm", settings: placeSchemas.slurm.parse({ time: "10" }) } as const;

let root: string;
let folders: string[];
beforeEach(async () => {
  root = join(await scratchFolder(), "Alphas, 100%");
  folders = await Promise.all(["a", "b", "c"].map((name) => prepareRun(root, name, {})));
});

const jobs = () => folders.map((runFolder) => ({ runFolder, argv: ["lfp", "run"] }) as const);
async function recordOf(folder: string): Promise<SlurmJob> {
  const record = JobRecord.parse(JSON.parse(await readFile(runPaths(folder).job, "utf8")));
  return record.executor === "slurm" ? record : expect.fail("no job of Slurm");
}

test("runs are submitted by one call, each a task whose record was there before it and names its number after", async () => {
  await fake.answer("sbatch", `cp "${folders[1]}/job.json" "$FAKE/before.json"; echo '12;big-iron'`);
  expect(await submitRuns(jobs(), 2, place)).toEqual([undefined, undefined, undefined]);
  const [first = "", second = ""] = folders;
  const records = await Promise.all(folders.map(recordOf));
  const { name } = await recordOf(first);
  expect(name).toMatch(/^lfp-alphas-100--[0-9a-f]{12}$/);
  expect(records).toMatchObject(
    [0, 1, 2].map((task) => ({ name, task, id: `12_${task}`, cluster: "big-iron", argv: ["lfp", "run"] })),
  );
  const before: unknown = JSON.parse(await readFile(join(fake.folder(), "before.json"), "utf8"));
  expect(before).toMatchObject({ name, task: 1 });
  expect(before).not.toHaveProperty("id");
  const { array } = notePaths(first, name);
  expect(await fake.calls("sbatch")).toEqual([
    `--parsable --job-name=${name} --comment=lfp:a --chdir=${first} --output=${array.replace("%", "%%")}.log --open-mode=append --requeue ` +
      `--signal=B:USR1@120 --export=NONE --time=10 --array=0-2%2 ${array}`,
  ]);
  expect(await readFile(array, "utf8")).toContain(
    `\n1) exec bash '${notePaths(second, name).script}' >> '${runPaths(second).output}' 2>&1 ;;\n`,
  );
});

test("a run that something works on is left out, and the others are submitted", async () => {
  await fake.answer("sbatch", "echo 12");
  const lock = await Lock.acquire(runPaths(folders[1] ?? "").lock, "run b", "a test");
  const [a, b, c] = (await submitRuns(jobs(), 2, place)) ?? expect.fail("no array");
  await lock.release();
  expect([a, c]).toEqual([undefined, undefined]);
  expect(b).toMatchObject({ code: "locked" });
  expect((await fake.calls("sbatch"))[0]).toContain("--array=0-1%2");
  expect((await recordOf(folders[2] ?? "")).id).toBe("12_1");
});

test("an array that sbatch took without a clear answer is found by its name", async () => {
  await fake.answer("sbatch", "exit 1");
  await fake.answer(
    "squeue",
    `name=$(grep -o 'job-name=[^ ]*' "$FAKE/sbatch.calls" | cut -d= -f2); for task in 0 1 2; do echo "12_$task|PENDING|None|$name|/x"; done`,
  );
  expect(await submitRuns(jobs(), 2, place)).toEqual([undefined, undefined, undefined]);
  expect((await recordOf(folders[2] ?? "")).id).toBe("12_2");
  expect(await fake.calls("squeue")).toHaveLength(1);
});

test.each([
  "sbatch: error: Batch job submission failed: Invalid job array specification",
  "sbatch: error: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
])("where the cluster refuses an array (%s), runs are submitted one by one, so many at a time", async (said) => {
  await fake.answer(
    "sbatch",
    `case $* in *--array=*) echo "${said}" >&2; exit 1 ;; esac; echo $(($(wc -l < "$FAKE/sbatch.calls") * 10))`,
  );
  const stop = new AbortController();
  const ends = runMany({
    folders,
    atMost: 2,
    signal: stop.signal,
    onAbort: "leave",
    pollMs: 5,
    place,
    jobOf: async ({ folder: runFolder }) => ({ runFolder, argv: ["lfp"] }),
    onState: () => undefined,
  });
  const calls = () => fake.calls("sbatch");
  await expect.poll(async () => (await calls()).length, PATIENT).toBe(3);
  expect((await calls()).filter((call) => call.includes("--array"))).toHaveLength(1);
  await runPipeline(smallPlan(), folders[0] ?? "", {
    seed: 7,
    deviceClass: "cpu",
    queued: false,
    job: (await recordOf(folders[0] ?? "")).name,
  });
  await expect.poll(async () => (await recordOf(folders[2] ?? "")).id, PATIENT).toBe("40");
  stop.abort();
  expect((await ends)[0]?.state).toEqual({ kind: "done" });
});

test("an array of the one run that is free is refused as such too, so that the run may be submitted by itself", async () => {
  await fake.answer("sbatch", "echo 'sbatch: error: Invalid job array specification' >&2; exit 1");
  const locks = await Promise.all(
    folders.slice(1).map((folder) => Lock.acquire(runPaths(folder).lock, "a run", "a test")),
  );
  expect(await submitRuns(jobs(), 2, place)).toBeUndefined();
  for (const lock of locks) await lock.release();
  expect((await fake.calls("sbatch"))[0]).toContain("--array=0-0%2");
});

test("an array that fails otherwise fails its runs, and does not begin if it comes after all", async () => {
  await fake.answer("sbatch", "echo 'sbatch: error: invalid partition specified: foo' >&2; exit 1");
  await expect(submitRuns(jobs(), 2, place)).rejects.toMatchObject({ code: "resource" });
  for (const folder of folders) {
    const { stop } = notePaths(folder, (await recordOf(folder)).name);
    expect(await readFile(stop, "utf8")).toBe("stop\n");
    expect((await runStatus(folder)).work).toBe("gone");
  }
});

/** Task 1 of an array, and what its executor says of it. */
async function task(more: Partial<SlurmJob> = {}, executor = new SlurmExecutor(times)) {
  const [folder = ""] = folders;
  await mkdir(runPaths(folder).jobs);
  const name = "lfp-alphas-0123456789ab";
  const submittedAt = "2026-11-30T10:00:00.000Z";
  const submitter = await thisProcess();
  const job: SlurmJob = { executor: "slurm", argv: ["lfp"], submittedAt, name, task: 1, id: "7_1", submitter, ...more };
  return { folder, job, executor, state: (): Promise<JobStanding> => executor.state(folder, job) };
}
const row = (id: string, state: string, reason = "None") =>
  `echo '${id}|${state}|${reason}|lfp-alphas-0123456789ab|/x';`;

test.each<[string, Partial<SlurmJob>, JobStanding]>([
  [row("7_0", "RUNNING") + row("7_1", "CANCELLED"), {}, { state: "gone", how: "stopped" }],
  [row("7_11", "CANCELLED") + row("7_1", "RUNNING"), { id: undefined }, { state: "working" }],
  [
    row("7_1", "PENDING", "JobArrayTaskLimit"),
    {},
    { state: "waiting", for: "its turn: as many runs of its array work as may at a time" },
  ],
  [row("7_0", "RUNNING") + row("7_2", "RUNNING"), {}, { state: "unknown", why: "Slurm does not list its job" }],
  [row("7_2", "RUNNING"), { id: undefined }, { state: "unknown", why: "Slurm does not list its job" }],
])("a task is as its own row of squeue says: %s", async (rows, more, expected) => {
  await fake.answer("squeue", rows);
  expect(await (await task(more)).state()).toEqual(expected);
  expect((await fake.calls("squeue"))[0]).toContain(" --array ");
});

test("a task that squeue has forgotten is as accounts say of it, and not of the others", async () => {
  await fake.answer(
    "sacct",
    `name=lfp-alphas-0123456789ab; echo "$name|COMPLETED|7_0"; echo "$name|PREEMPTED|7_1"; echo "$name|PENDING|7_[2-8%2]"`,
  );
  const { state } = await task({}, new SlurmExecutor({ ...times, absentMs: 0 }));
  await state();
  expect(await state()).toEqual({ state: "gone", why: "its job was preempted", how: "passing" });
});

test("ids of accounts name one task or several", () => {
  expect([0, 1, 11].map((one) => holdsTask("7_1", one))).toEqual([false, true, false]);
  expect([0, 2, 3, 5, 6].map((one) => holdsTask("7_[2-4,6%2]", one))).toEqual([false, true, true, false, true]);
  expect(holdsTask("7", 7)).toBe(false);
});

test("cancelling a task cancels no other", async () => {
  const { folder, job, executor } = await task();
  await fake.answer("squeue", `${row("7_0", "PENDING")} [ -e "$FAKE/scancel.calls" ] || ${row("7_1", "PENDING")}`);
  await executor.cancel(folder, job);
  expect(await fake.calls("scancel")).toEqual(["7_1"]);
});

test("a sweep's worth of tasks is cancelled a few commands at a time", async () => {
  await fake.answer(
    "scancel",
    'touch "$FAKE/now.$$"; ls "$FAKE" | grep -c ^now >> "$FAKE/counts"; sleep 1; rm "$FAKE/now.$$"',
  );
  await Promise.all(Array.from({ length: 32 }, (_, at) => ask("scancel", [`7_${at}`])));
  expect(await fake.calls("scancel")).toHaveLength(32);
  const counts = (await readFile(join(fake.folder(), "counts"), "utf8")).trim().split("\n").map(Number);
  const most = Math.max(...counts);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(16);
});

test("a command that fails gives its turn to the next", async () => {
  await fake.answer("scancel", "exit 1");
  const ends = await Promise.allSettled(Array.from({ length: 40 }, () => ask("scancel", ["7"])));
  expect(ends.map(({ status }) => status)).toEqual(Array(40).fill("rejected"));
  await fake.answer("scancel", "echo done");
  expect(await ask("scancel", ["7"])).toBe("done\n");
});

test("many tasks whose submitter was killed are found by one more call of squeue", async () => {
  const submitter = { ...(await thisProcess()), pid: 2 ** 22 - 1, startTime: "gone" };
  await fake.answer("sbatch", "echo 12");
  await submitRuns(jobs(), 2, place);
  const executor = new SlurmExecutor({ ...times, pollMs: 60_000 });
  await fake.answer("sbatch", "");
  for (const folder of folders) {
    const { id: _, ...intent } = await recordOf(folder);
    expect(await executor.state(folder, { ...intent, submitter })).toMatchObject({ state: "gone", how: "passing" });
  }
  expect((await fake.calls("squeue")).length).toBeLessThanOrEqual(2);
});
