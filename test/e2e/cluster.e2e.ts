/** A person whose runs go to Slurm starts one in the editor, follows it, closes and opens the window, and ends it. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { canStartSlurm, startSlurm, type TestSlurm } from "../support/slurm.ts";
import { tinyExperiment } from "../unit/pipeline/tiny-experiment.ts";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

/** Does not end by itself while the test looks. */
const endless = { ...tinyExperiment, name: "endless", tuning: { ...tinyExperiment.tuning, steps: 10_000 } };

describe.skipIf(!inject("ground").ready || !canStartSlurm)("a run on a Slurm of one node", () => {
  let slurm: TestSlurm;
  let settings: string;
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    slurm = await startSlurm();
    settings = await mkdtemp(join(tmpdir(), "lfp-e2e-slurm-"));
    process.env["LFP_EXECUTORS"] = join(settings, "executors.json");
    // Held, so that it can be seen waiting.
    await writeFile(join(settings, "executors.json"), '{ "slurm": { "cpus": 1, "extraArgs": ["--hold"] } }');
    session = await Session.start({
      files: { "endless.lfp-experiment.json": JSON.stringify(endless, undefined, 2) },
      machineSettings: { "lfpLens.runOn": "slurm" },
    });
    workbench = await session.open();
  });
  afterAll(async () => {
    try {
      await session.stop();
    } finally {
      delete process.env["LFP_EXECUTORS"];
      await slurm.ask("scancel", "--user=root");
      await slurm.stop();
      await rm(settings, { recursive: true, force: true });
    }
  });
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  const row = (label: string) => workbench.pane("Runs").locator(`.monaco-list-row[aria-label*="${label}"]`).first();
  /** State and name of each job that Slurm has not ended. */
  const jobs = async (): Promise<string[]> =>
    (await slurm.ask("squeue", "--noheader", "--format=%T %j")).split("\n").filter((line) => line !== "");
  const press = async (label: string, button: string): Promise<void> => {
    await row(label).waitFor();
    await row(label).hover();
    await row(label).getByRole("button", { name: button }).click();
  };

  it("is submitted from its file, and its row says what its job waits for", async () => {
    await workbench.openFile("endless.lfp-experiment.json");
    await workbench.run("LFP Lens: Start Run from Experiment File");
    await row("endless: waiting for somebody to release its job").waitFor();
    expect(await jobs()).toEqual([expect.stringMatching(/^PENDING lfp-endless-[0-9a-f]{12}$/)]);
    await workbench.screenshot("cluster-waiting");
  });

  it("shows its progress, its curves and its job's output once its node works", async () => {
    await slurm.ask("scontrol", "release", `jobname=${(await jobs())[0]?.split(" ")[1]}`);
    // A busy machine's Slurm takes its time to start a job.
    await row("endless: running tune").waitFor({ timeout: 300_000 });
    await workbench.run("LFP Lens: Show Curves");
    const curves = await workbench.webview("Curves: endless");
    await curves.getByRole("heading", { name: "Reward", exact: true }).waitFor();
    await workbench.chooseFromMenu(row("endless: running tune"), "Show Output of Run");
    await workbench.outputSays(/tune/);
    await workbench.screenshot("cluster-running");
    expect(await jobs()).toEqual([expect.stringMatching(/^RUNNING lfp-endless-/)]);
  }, 480_000);

  it("goes on while the window is closed, and is found again with the same job", async () => {
    const before = await jobs();
    await workbench.page.goto("about:blank");
    expect(await jobs()).toEqual(before);
    workbench = await session.open();
    await workbench.openSideBar();
    await row("endless: running tune").waitFor();
    expect(await jobs()).toEqual(before);
    await workbench.screenshot("cluster-found-again");
  });

  it("is ended from its view after a checkpoint, and its job with it", async () => {
    await press("endless: running", "Cancel Run");
    await row("endless: cancelled").waitFor();
    await expect.poll(jobs, { timeout: 60_000 }).toEqual([]);
    await workbench.screenshot("cluster-cancelled");
  });

  it("goes on from there as a new job, and as a further one where that saves and Slurm does not start it again", async () => {
    await mkdir(join(settings, "bin"));
    await writeFile(join(settings, "bin", "scontrol"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const env = { PATH: `${join(settings, "bin")}:${process.env["PATH"]}` };
    await writeFile(join(settings, "executors.json"), JSON.stringify({ slurm: { cpus: 1, env } }));
    await press("endless: cancelled", "Resume Run");
    await row("endless: running tune").waitFor();
    const before = await jobs();
    expect(before).toHaveLength(1);
    const id = (await slurm.ask("squeue", "--noheader", "--format=%i")).trim();
    await slurm.ask("scancel", "--signal=USR1", "--batch", id);
    const another = [expect.not.stringContaining(before[0]?.split(" ")[1] ?? "")];
    await expect.poll(jobs, { timeout: 120_000, interval: 1000 }).toEqual(another);
    await row("endless: running tune").waitFor();
    expect(await workbench.notifications.filter({ hasText: "endless" }).count()).toBe(0);
    await press("endless: running", "Cancel Run");
    await row("endless: cancelled").waitFor();
  });
});
