/** What Slurm's commands print at one place or another (reference: squeue(1), sacct(1), and reports of other programs that call them). */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { JobNotStartedError, type JobStanding } from "../../../../server/runs/executor.ts";
import { notePaths, scriptExit } from "../../../../server/runs/job-notes.ts";
import type { SlurmJob } from "../../../../server/runs/job-record.ts";
import { submitRun } from "../../../../server/runs/jobs.ts";
import { thisProcess } from "../../../../server/runs/process-identity.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun, runPaths } from "../../../../server/runs/run-folder.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { SlurmExecutor } from "../../../../server/runs/slurm/executor.ts";
import { SlurmSettings } from "../../../../server/runs/slurm/settings.ts";
import { useFakeSlurm } from "../../../support/fake-slurm.ts";
import { fakePlan } from "../fake-stages.ts";
import { lockElsewhere } from "../lock-elsewhere.ts";
import { scratchFolder } from "../scratch.ts";

const fake = useFakeSlurm();
/** Asks anew each time, and gives a job up at once. */
const times = { pollMs: 0, hurryMs: 1, mostMs: 1, absentMs: 0, commandMs: 10_000 };

async function submit(stated: object = {}, executor = new SlurmExecutor(times)) {
  const folder = await prepareRun(await scratchFolder(), "demo", {});
  const kept: SlurmJob[] = [];
  const keep = async (record: SlurmJob): Promise<void> => {
    kept.push(record);
  };
  const job = await executor.submit({ runFolder: folder, argv: ["lfp", "run"] }, SlurmSettings.parse(stated), keep);
  return { folder, job, kept };
}

/** A run whose job has the id 7, and what its executor says of it. */
async function submitted(more: Partial<SlurmJob> = {}, executor = new SlurmExecutor(times)) {
  const folder = await prepareRun(await scratchFolder(), "demo", {});
  await mkdir(runPaths(folder).jobs);
  const job: SlurmJob = {
    executor: "slurm",
    argv: ["lfp"],
    submittedAt: "2026-11-30T10:00:00.000Z",
    name: "lfp-demo-0123456789ab",
    id: "7",
    submitter: await thisProcess(),
    ...more,
  };
  return { folder, job, state: (): Promise<JobStanding> => executor.state(folder, job) };
}

const listed = (state: string, reason = "None", id = "7", name = "lfp-demo-0123456789ab"): string =>
  `echo '${id}|${state}|${reason}|${name}|/somewhere'`;

describe("sbatch", () => {
  test.each([
    ["the id alone", "echo 12", { id: "12" }],
    ["the id and the cluster", "echo '12;big-iron'", { id: "12", cluster: "big-iron" }],
    ["a site's text before it", "echo 'Welcome. You have 3 GPU hours left.'; echo; echo 12", { id: "12" }],
    [
      "the words that it has without --parsable",
      "echo 'Submitted batch job 12 on cluster big-iron'",
      { id: "12", cluster: "big-iron" },
    ],
    ["a warning on standard error", "echo 'sbatch: warning: can not honor' >&2; echo 12", { id: "12" }],
  ])("is understood where it prints %s", async (_, script, expected) => {
    await fake.answer("sbatch", script);
    const { job, kept } = await submit();
    expect(job).toMatchObject(expected);
    // The record without an id was there before.
    expect(kept).toEqual(
      [{ ...job, id: undefined, cluster: undefined }].map(({ id: _id, cluster: _cluster, ...rest }) => rest),
    );
  });

  test.each([
    ["fails after it submitted", "echo 'sbatch: error: Batch job submission failed: Socket timed out' >&2; exit 1"],
    ["prints no id", "echo 'Good morning'"],
  ])("that %s is not called again: the job is found by its name", async (_, script) => {
    // The name is the one that sbatch was given.
    await fake.answer("sbatch", script);
    await fake.answer(
      "squeue",
      `name=$(grep -o 'job-name=[^ ]*' "$FAKE/sbatch.calls" | cut -d= -f2); echo "12|PENDING|Priority|$name|/x"; echo "13|PENDING|None|lfp-other-0|/x"`,
    );
    const { job } = await submit();
    expect(job.id).toBe("12");
    expect(await fake.calls("sbatch")).toHaveLength(1);
  });

  test.each([
    [
      "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
      /allows you no more jobs now/,
    ],
    ["Invalid account or account/partition combination specified", /lfp doctor --on slurm/],
    ["Unable to contact slurm controller (connect failure)", /Unable to contact slurm controller/],
  ])("that refuses says why and what helps: %s", async (said, expected) => {
    await fake.answer("sbatch", `echo "sbatch: error: ${said}" >&2; exit 1`);
    const failure = await submit().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(JobNotStartedError);
    expect(String(failure)).toMatch(expected);
  });

  test("that refuses leaves a run that is done as it is, and says of another why it does not work", async () => {
    await fake.answer("sbatch", "echo 'sbatch: error: Invalid account' >&2; exit 1");
    const place = { executor: "slurm", settings: SlurmSettings.parse({}) } as const;
    const [done, other] = [join(await scratchFolder(), "done"), await prepareRun(await scratchFolder(), "demo", {})];
    await runPipeline(fakePlan({ steps: 1 }), done, { seed: 7, deviceClass: "cpu", queued: false });
    for (const runFolder of [done, other])
      await expect(submitRun({ runFolder, argv: ["lfp", "run"] }, place)).rejects.toThrow(JobNotStartedError);
    expect((await runStatus(done)).state).toEqual({ kind: "done" });
    expect((await runStatus(other)).state).toEqual({
      kind: "interrupted",
      why: expect.stringContaining("Invalid account"),
    });
  });

  test("that does not answer in time leaves no job that could begin later", async () => {
    await fake.answer("sbatch", "exec sleep 30");
    const folder = await prepareRun(await scratchFolder(), "demo", {});
    const executor = new SlurmExecutor({ ...times, commandMs: 200 });
    let name = "";
    const keep = async (record: SlurmJob): Promise<void> => {
      name = record.name;
    };
    const submission = executor.submit({ runFolder: folder, argv: ["lfp"] }, SlurmSettings.parse({}), keep);
    await expect(submission).rejects.toThrow(/did not answer in time/);
    expect(await readFile(notePaths(folder, name).stop, "utf8")).toBe("stop\n");
  });

  test("that is not there is told", async () => {
    await fake.remove("sbatch");
    const path = process.env["PATH"];
    process.env["PATH"] = fake.folder();
    await expect(submit()).rejects.toThrow(/not on PATH: Slurm's commands are on a cluster's login node/);
    process.env["PATH"] = path;
  });

  test("gets the settings, and no variables of a job that lfp itself is part of", async () => {
    for (const name of ["SLURM_JOB_ID", "SBATCH_PARTITION", "SQUEUE_FORMAT"]) process.env[name] = "of-the-job-outside";
    process.env["SLURM_CONF"] = "/etc/slurm/slurm.conf";
    await fake.answer("sbatch", `env > "$FAKE/env"; echo 12`);
    const { folder, job } = await submit({
      partition: "gpu",
      time: "1-00",
      gres: "gpu:1",
      cpus: 2,
      memory: "4G",
      extraArgs: ["--exclude=n1"],
    });
    for (const name of ["SLURM_JOB_ID", "SBATCH_PARTITION", "SQUEUE_FORMAT", "SLURM_CONF"]) delete process.env[name];
    const environment = await readFile(join(fake.folder(), "env"), "utf8");
    expect(environment).not.toContain("of-the-job-outside");
    expect(environment).toContain("SLURM_CONF=/etc/slurm/slurm.conf");
    const [call = ""] = await fake.calls("sbatch");
    expect(call).toBe(
      `--parsable --job-name=${job.name} --comment=lfp:demo --chdir=${folder} --output=${folder}/output.log --open-mode=append --requeue ` +
        `--signal=B:USR1@120 --export=NONE --partition=gpu --time=1-00 --gres=gpu:1 --cpus-per-task=2 --mem=4G --exclude=n1 ${folder}/jobs/${job.name}.sh`,
    );
  });
});

describe("squeue", () => {
  test.each<[string, string, JobStanding]>([
    ["PENDING", "Resources", { state: "waiting", for: "a node of the cluster (Resources)" }],
    ["PENDING", "None", { state: "waiting", for: "a node of the cluster" }],
    ["PENDING", "JobHeldUser", { state: "waiting", for: "somebody to release its job (scontrol release)" }],
    ["CONFIGURING", "None", { state: "waiting", for: "its node of the cluster to start" }],
    ["REQUEUE_HOLD", "None", { state: "waiting", for: "somebody to release its job (scontrol release)" }],
    ["RUNNING", "None", { state: "working" }],
    ["COMPLETING", "None", { state: "working" }],
    ["COMPLETED", "None", { state: "gone" }],
    ["CANCELLED", "None", { state: "gone", how: "stopped" }],
    ["FAILED", "NonZeroExitCode", { state: "gone", why: "its job failed" }],
    ["NODE_FAIL", "None", { state: "unknown", why: "its node failed, and Slurm may start it again" }],
    ["PREEMPTED", "None", { state: "unknown", why: "its job was preempted, and Slurm may start it again" }],
    ["A_STATE_OF_SLURM_30", "None", { state: "unknown", why: "its job is in the state A_STATE_OF_SLURM_30" }],
  ])("that says %s (%s)", async (state, reason, expected) => {
    await fake.answer("squeue", `echo 'Maintenance on Friday | see the wiki'; ${listed(state, reason)}`);
    const { state: ask } = await submitted();
    expect(await ask()).toEqual(expected);
  });

  test.each<[string, JobStanding]>([
    ["FAILED", { state: "gone", why: "Slurm took its node from it", how: "passing" }],
    ["CANCELLED", { state: "gone", how: "stopped" }],
    ["NODE_FAIL", { state: "unknown", why: "its node failed, and Slurm may start it again" }],
  ])("that says %s of a job whose script saw that Slurm ended it", async (state, expected) => {
    await fake.answer("squeue", listed(state));
    const { folder, job, state: ask } = await submitted();
    await writeFile(notePaths(folder, job.name).exit, "75 ended\n");
    expect(await ask()).toEqual(expected);
  });

  test("that lists another job under the same number says nothing of ours", async () => {
    await fake.answer("squeue", listed("RUNNING", "None", "7", "somebody-elses"));
    const { state } = await submitted({}, new SlurmExecutor({ ...times, absentMs: 60_000 }));
    expect(await state()).toMatchObject({ state: "unknown" });
  });

  test("is called once for all jobs, with the cluster that sbatch named", async () => {
    const executor = new SlurmExecutor({ ...times, pollMs: 60_000 });
    await fake.answer("squeue", listed("RUNNING"));
    const runs = await Promise.all([1, 2, 3].map(() => submitted({}, executor)));
    for (const { state } of runs) expect(await state()).toEqual({ state: "working" });
    expect(await fake.calls("squeue")).toHaveLength(1);
    const { state } = await submitted({ cluster: "big-iron" }, executor);
    await state();
    expect((await fake.calls("squeue")).at(-1)).toMatch(/ --clusters=big-iron$/);
  });

  test("that fails leaves its last answer valid twice, and then nothing is known", async () => {
    const { state } = await submitted({}, new SlurmExecutor({ ...times, mostMs: 0 }));
    await fake.answer("squeue", listed("RUNNING"));
    expect(await state()).toEqual({ state: "working" });
    await fake.answer("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1");
    expect([await state(), await state()]).toEqual([{ state: "working" }, { state: "working" }]);
    expect(await state()).toEqual({
      state: "unknown",
      why: expect.stringContaining("Unable to contact slurm controller"),
    });
    await fake.answer("squeue", listed("RUNNING"));
    expect(await state()).toEqual({ state: "working" });
  });

  test("that cannot be found leaves the job's state unknown", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = "/nowhere";
    const { state } = await submitted();
    expect(await state()).toEqual({ state: "unknown", why: expect.stringContaining("squeue is not on PATH") });
    process.env["PATH"] = path;
  });
});

describe("a job that squeue does not list", () => {
  test("is not absent by an answer from before another process submitted it", async () => {
    const executor = new SlurmExecutor({ ...times, pollMs: 60_000 });
    const earlier = await submitted({ name: "lfp-demo-earlier", id: "6" }, executor);
    expect(await earlier.state()).toMatchObject({ state: "gone" });
    const submittedAt = new Date(Date.now() + 1).toISOString();
    const { folder, job, state } = await submitted({ submittedAt }, executor);
    expect(await state()).toEqual({ state: "unknown", why: "Slurm has not been asked since its job was submitted" });
    await expect(readFile(notePaths(folder, job.name).absent, "utf8")).rejects.toThrow("ENOENT");
    expect(await fake.calls("squeue")).toHaveLength(1);
  });

  test("is not gone as long as its process works on another node", async () => {
    const { folder, job, state } = await submitted();
    await lockElsewhere(folder, job.name, 0);
    expect(await state()).toEqual({
      state: "unknown",
      why: "Slurm does not list its job, whose process still works",
    });
    await lockElsewhere(folder, job.name, 301_000);
    expect(await state()).toMatchObject({ state: "gone" });
  });

  test("is unknown until it has not been listed for long; being listed in between counts", async () => {
    const executor = new SlurmExecutor({ ...times, absentMs: 60_000 });
    const { folder, job, state } = await submitted({}, executor);
    expect(await state()).toEqual({ state: "unknown", why: "Slurm does not list its job" });
    const { absent } = notePaths(folder, job.name);
    await writeFile(absent, JSON.stringify({ sinceMs: Date.now() - 59_000 }));
    expect(await state()).toMatchObject({ state: "unknown" });
    await fake.answer("squeue", listed("PENDING"));
    expect(await state()).toMatchObject({ state: "waiting" });
    await fake.answer("squeue", "");
    expect(await state()).toMatchObject({ state: "unknown" });
    await writeFile(absent, JSON.stringify({ sinceMs: Date.now() - 61_000 }));
    expect(await state()).toEqual({ state: "gone", why: "Slurm no longer knows its job", how: "passing" });
    // Once found, Slurm is asked no more.
    const asked = (await fake.calls("squeue")).length;
    expect(await state()).toMatchObject({ state: "gone" });
    expect(await fake.calls("squeue")).toHaveLength(asked);
  });

  test.each<[string, string, JobStanding]>([
    ["CANCELLED by 1000", "echo 'lfp-demo-0123456789ab|CANCELLED by 1000'", { state: "gone", how: "stopped" }],
    [
      "PREEMPTED",
      "echo 'lfp-demo-0123456789ab|PREEMPTED'",
      { state: "gone", why: "its job was preempted", how: "passing" },
    ],
    [
      "RUNNING+",
      "echo 'lfp-demo-0123456789ab|RUNNING+'",
      { state: "gone", why: "Slurm no longer knows its job", how: "passing" },
    ],
    [
      "OUT_OF_MEMORY",
      "echo 'lfp-demo-0123456789ab|OUT_OF_MEMORY'",
      { state: "gone", why: expect.stringContaining("raise `memory`") },
    ],
    [
      "another user's job",
      "echo 'theirs|COMPLETED'",
      { state: "gone", why: "Slurm no longer knows its job", how: "passing" },
    ],
    ["nothing", "", { state: "gone", why: "Slurm no longer knows its job", how: "passing" }],
    [
      "that there are no accounts",
      "echo 'Slurm accounting storage is disabled' >&2; exit 1",
      { state: "gone", why: "Slurm no longer knows its job", how: "passing" },
    ],
    ["nothing in time", "exec sleep 5", { state: "gone", why: "Slurm no longer knows its job", how: "passing" }],
  ])("is gone then, by what accounts say: %s", async (_, script, expected) => {
    await fake.answer("sacct", script);
    const { state } = await submitted({}, new SlurmExecutor({ ...times, commandMs: 500 }));
    await state();
    expect(await state()).toEqual(expected);
    // Ids are used again: the name and the day of the submission find the job.
    expect((await fake.calls("sacct"))[0]).toBe(
      "-X -n -P --name=lfp-demo-0123456789ab --starttime=2026-11-29 --format=JobName,State,JobID",
    );
  });

  test("but that accounts have as alive is waited for longer", async () => {
    await fake.answer("sacct", "echo 'lfp-demo-0123456789ab|PENDING'");
    const { folder, job, state } = await submitted({}, new SlurmExecutor({ ...times, absentMs: 10_000 }));
    const since = (agoMs: number) =>
      writeFile(notePaths(folder, job.name).absent, JSON.stringify({ sinceMs: Date.now() - agoMs }));
    await since(20_000);
    expect(await state()).toMatchObject({ state: "unknown", why: expect.stringContaining("PENDING") });
    await since(121_000);
    expect(await state()).toMatchObject({ state: "gone", how: "passing" });
  });

  test("is gone at once where its script has said how it ended", async () => {
    const { folder, job, state } = await submitted({}, new SlurmExecutor({ ...times, absentMs: 60_000 }));
    await writeFile(notePaths(folder, job.name).exit, "75 \n");
    expect(await scriptExit(folder, job.name)).toEqual({ code: 75, word: "" });
    expect(await state()).toEqual({ state: "gone", why: "its job saved and ended before the run did", how: "passing" });
  });

  test.each<[string, string, JobStanding]>([
    [
      "preempted",
      "echo 'lfp-demo-0123456789ab|PREEMPTED'",
      { state: "gone", why: "its job was preempted", how: "passing" },
    ],
    ["cancelled", "echo 'lfp-demo-0123456789ab|CANCELLED by 0'", { state: "gone", how: "stopped" }],
    ["no longer knows", "", { state: "gone", how: "stopped" }],
  ])("and whose script saw that Slurm ended it, ended as Slurm says: %s", async (_, script, expected) => {
    await fake.answer("sacct", script);
    const { folder, job, state } = await submitted();
    await writeFile(notePaths(folder, job.name).exit, "75 ended\n");
    expect(await state()).toEqual(expected);
  });

  test("tells a failure with the last line of its output", async () => {
    const { folder, job, state } = await submitted();
    await writeFile(notePaths(folder, job.name).exit, "6 modules\n");
    await writeFile(runPaths(folder).output, "Lmod has detected the following error:\nno module cuda/99\n\n");
    expect(await state()).toEqual({ state: "gone", why: "its job ended with status 6: no module cuda/99" });
  });
});

test("cancelling takes a waiting job back, and tells the script of one that was never listed", async () => {
  const executor = new SlurmExecutor(times);
  const { folder, job } = await submitted({}, executor);
  await fake.answer("squeue", `[ -e "$FAKE/scancel.calls" ] || ${listed("PENDING")}`);
  await executor.cancel(folder, job);
  expect(await fake.calls("scancel")).toEqual(["7"]);
  const other = await submitted({ name: "lfp-other-0123456789ab" }, executor);
  await executor.cancel(other.folder, other.job);
  expect(await fake.calls("scancel")).toEqual(["7"]);
  expect(await readFile(notePaths(other.folder, other.job.name).stop, "utf8")).toBe("stop\n");
});
