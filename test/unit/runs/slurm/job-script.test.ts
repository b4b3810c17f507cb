/** The script of a job, run by bash as Slurm runs it, with a `scontrol` that says what it was asked. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { notePaths, scriptExit } from "../../../../server/runs/job-notes.ts";
import { runPaths } from "../../../../server/runs/run-folder.ts";
import { jobScript } from "../../../../server/runs/slurm/job-script.ts";
import { SlurmSettings } from "../../../../server/runs/slurm/settings.ts";
import { trueWithin } from "../../../../server/runs/stop-process.ts";
import { useFakeSlurm } from "../../../support/fake-slurm.ts";
import { scratchFolder } from "../scratch.ts";

const fake = useFakeSlurm();
const NAME = "lfp-demo-0123456789ab";
/** Says that it runs, and on SIGTERM ends with status 75 after a while. */
const SAVES = `echo "$$" > begun; trap 'sleep 0.3; echo saved; exit 75' TERM; while :; do sleep 0.05; done`;
const REFUSES = `case "$1" in requeue) exit 1 ;; esac`;

async function prepare(command: string, { folderName = "demo", ...stated }: Record<string, unknown> = {}) {
  const folder = join(await scratchFolder(), String(folderName));
  await mkdir(folder, { recursive: true });
  await mkdir(runPaths(folder).jobs);
  const job = {
    runFolder: folder,
    argv: ["/bin/bash", "-c", command],
    env: { OF_THE_JOB: "a 'quoted' value" },
  } as const;
  await writeFile(notePaths(folder, NAME).script, jobScript(job, NAME, SlurmSettings.parse(stated), process.env));
  return folder;
}

function start(folder: string, more: NodeJS.ProcessEnv = {}): ChildProcess {
  const env = {
    PATH: process.env["PATH"],
    SLURM_JOB_ID: "12",
    ...(process.env["HOME"] === undefined ? {} : { HOME: process.env["HOME"] }),
    ...more,
  };
  return spawn("/bin/bash", [notePaths(folder, NAME).script], { env, stdio: ["ignore", "ignore", "inherit"] });
}

async function statusOf(child: ChildProcess): Promise<number> {
  const [status] = await once(child, "exit");
  return Number(status);
}

async function begun(folder: string): Promise<void> {
  const isThere = () =>
    access(join(folder, "begun")).then(
      () => true,
      () => false,
    );
  expect(await trueWithin(30_000, isThere)).toBe(true);
}

describe.skipIf(process.platform === "win32")("the script of a job", () => {
  test("runs the program in the run's folder, whatever the folder is called, and ends as it does", async () => {
    const folder = await prepare('echo "$PWD|$OF_THE_JOB|$LFP_JOB|$FROM_SETTINGS" > said; exit 3', {
      folderName: "it's $(here) 100% `odd`",
      env: { FROM_SETTINGS: "yes; really" },
    });
    expect(await statusOf(start(folder))).toBe(3);
    expect(await readFile(join(folder, "said"), "utf8")).toBe(`${folder}|a 'quoted' value|${NAME}|yes; really\n`);
    expect(await scriptExit(folder, NAME)).toEqual({ code: 3, word: "" });
    expect(await fake.calls("scontrol")).toEqual([]);
  });

  test("has an editor's program run as the Node that it was for the submitter, and nothing else of the environment", async () => {
    vi.stubEnv("ELECTRON_RUN_AS_NODE", "1");
    vi.stubEnv("SOME_TOKEN", "secret");
    const folder = await prepare('echo "$ELECTRON_RUN_AS_NODE|$SOME_TOKEN" > said');
    vi.unstubAllEnvs();
    expect(await statusOf(start(folder))).toBe(0);
    expect(await readFile(join(folder, "said"), "utf8")).toBe("1|\n");
  });

  test.each(["SIGUSR1", "SIGTERM"] as const)(
    "has the run save on %s, twice if it comes twice, and has the job started again",
    async (signal) => {
      // Slurm ends the script when it takes the job back; here it lives on, with its signals ignored.
      await fake.answer("scontrol", `${REFUSES}; echo JobState=RUNNING`);
      const folder = await prepare(SAVES);
      const child = start(folder);
      await begun(folder);
      child.kill(signal);
      child.kill("SIGTERM");
      expect(await statusOf(child)).toBe(75);
      expect(await fake.calls("scontrol")).toEqual(["show job -o 12", "requeue 12"]);
      // Slurm refused: whoever looks after the run may submit it again.
      expect(await scriptExit(folder, NAME)).toEqual({ code: 75, word: "" });
    },
  );

  test("does not have a job started again that somebody cancelled, in Slurm or through us", async () => {
    await fake.answer("scontrol", "echo 'JobId=12 JobState=COMPLETING Reason=None'");
    const folder = await prepare("exit 75");
    expect(await statusOf(start(folder))).toBe(75);
    expect(await fake.calls("scontrol")).toEqual(["show job -o 12"]);
    expect(await scriptExit(folder, NAME)).toEqual({ code: 75, word: "ended" });

    const other = await prepare(SAVES);
    const child = start(other);
    await begun(other);
    await writeFile(notePaths(other, NAME).stop, "stop\n");
    child.kill("SIGTERM");
    expect(await statusOf(child)).toBe(75);
    expect(await scriptExit(other, NAME)).toEqual({ code: 75, word: "stopped" });
    expect(await fake.calls("scontrol")).toEqual(["show job -o 12"]);
  });

  test("speaks of its own task of an array, whose number may stand for the whole array", async () => {
    await fake.answer("scontrol", `${REFUSES}; echo JobState=RUNNING`);
    const folder = await prepare("exit 75");
    expect(await statusOf(start(folder, { SLURM_ARRAY_JOB_ID: "12", SLURM_ARRAY_TASK_ID: "3" }))).toBe(75);
    expect(await fake.calls("scontrol")).toEqual(["show job -o 12_3", "requeue 12_3"]);
  });

  test("has a job started again that Slurm ends at its time limit", async () => {
    await fake.answer("scontrol", `${REFUSES}; echo 'JobId=12 JobState=COMPLETING Reason=TimeLimit'`);
    const folder = await prepare("exit 75");
    expect(await statusOf(start(folder))).toBe(75);
    expect(await fake.calls("scontrol")).toEqual(["show job -o 12", "requeue 12"]);
  });

  test("does not begin once it was told to stop", async () => {
    const folder = await prepare("echo > begun");
    await writeFile(notePaths(folder, NAME).stop, "stop\n");
    expect(await statusOf(start(folder))).toBe(0);
    await expect(access(join(folder, "begun"))).rejects.toThrow("ENOENT");
    expect(await scriptExit(folder, NAME)).toEqual({ code: 0, word: "stopped" });
  });

  test("counts as saved what a signal ended before it listened", async () => {
    await fake.answer("scontrol", REFUSES);
    const folder = await prepare("echo > begun; exec sleep 60");
    const child = start(folder);
    await begun(folder);
    child.kill("SIGUSR1");
    expect(await statusOf(child)).toBe(75);
  });

  test("ends for good after starts without a new checkpoint, and goes on counting from nought after one", async () => {
    await fake.answer("scontrol", REFUSES);
    const folder = await prepare("echo x >> begun; exit 75", { restartsWithoutProgress: 2 });
    const checkpoints = join(runPaths(folder).stages, "tuned-0.work", "checkpoints");
    await mkdir(join(checkpoints, "1"), { recursive: true });
    const words: (string | undefined)[] = [];
    const round = async (): Promise<void> => {
      await statusOf(start(folder));
      words.push((await scriptExit(folder, NAME))?.word);
    };
    for (let i = 0; i < 3; i++) await round();
    await mkdir(join(checkpoints, "2"));
    for (let i = 0; i < 4; i++) await round();
    expect(words).toEqual(["", "", "", "", "", "", "stalled"]);
    expect(await readFile(join(folder, "begun"), "utf8")).toBe("x\n".repeat(6));
  });

  test("says that a module cannot be loaded", async () => {
    const folder = await prepare("echo > begun", { modules: ["cuda/99"] });
    expect(await statusOf(start(folder))).toBe(6);
    expect(await scriptExit(folder, NAME)).toEqual({ code: 6, word: "modules" });
    await expect(access(join(folder, "begun"))).rejects.toThrow("ENOENT");
  });
});

test("settings that could end a line of the script are refused", () => {
  for (const bad of [
    { modules: ["a\nrm -rf ~"] },
    { env: { A: "b\nc" } },
    { env: { "A=b;c": "d" } },
    { extraArgs: ["a\0"] },
  ])
    expect(SlurmSettings.safeParse(bad).success).toBe(false);
});
