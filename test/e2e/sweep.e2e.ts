/** A person runs a sweep from its file, sees its runs below it, sets them side by side, and ends another one. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { tinyExperiment } from "../unit/pipeline/tiny-experiment.ts";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

const { name: _, ...base } = tinyExperiment;

describe.skipIf(!inject("ground").ready)("a sweep", () => {
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    const long = { ...base, tuning: { ...base.tuning, steps: 10_000 } };
    session = await Session.start({
      files: {
        "alphas.lfp-sweep.json": JSON.stringify({ base, grid: { "probe.alpha": [1, 10] } }, undefined, 2),
        "long.lfp-sweep.json": JSON.stringify({ base: long, seeds: 2 }, undefined, 2),
      },
    });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  const row = (label: string) => workbench.pane("Runs").locator(`.monaco-list-row[aria-label*="${label}"]`).first();
  const press = async (label: string, button: string): Promise<void> => {
    await row(label).waitFor();
    await row(label).hover();
    await row(label).getByRole("button", { name: button }).click();
  };

  it("is started from its file, and its runs stand below it with their progress", async () => {
    await workbench.openSideBar();
    await workbench.openFile("alphas.lfp-sweep.json");
    await workbench.page.locator(".editor-actions").getByRole("button", { name: "Run Sweep File in Terminal" }).click();
    await row("alphas: sweep, 0 of 2 runs done").waitFor();
    await row("alpha-1: running").waitFor();
    await row("alpha-10: not started").waitFor();
    await workbench.screenshot("sweep-running");
  });

  it("ends with all runs done, which is told once, and they are set side by side", async () => {
    await row("alphas: sweep, 2 of 2 runs done").waitFor({ timeout: 420_000 });
    await workbench.notifications.filter({ hasText: "the sweep alphas has ended: 2 of 2 runs done" }).waitFor();
    expect(await workbench.notifications.filter({ hasText: "the run" }).count()).toBe(0);
    await press("alphas: sweep", "Compare Runs of Sweep");
    const page = await workbench.webview("Compare: alpha-1, alpha-10");
    const settings = page.getByRole("table", { name: "Settings that differ" });
    await settings.getByRole("row", { name: /probe\.alpha/ }).waitFor();
    await workbench.screenshot("sweep-compared");
  }, 480_000);

  it("is ended with all its runs from its row, and can go on", async () => {
    await workbench.openFile("long.lfp-sweep.json");
    await workbench.run("LFP Lens: Run Sweep File in Terminal");
    await row("seed1: running tune").waitFor();
    await press("long: sweep", "Cancel Sweep");
    await row("long: sweep, 0 of 2 runs done, 1 cancelled").waitFor();
    await press("long: sweep", "Resume Sweep");
    await row("seed1: running tune").waitFor();
    await workbench.screenshot("sweep-resumed");
    await press("long: sweep", "Cancel Sweep");
    await row("long: sweep, 0 of 2 runs done, 1 cancelled").waitFor();
  });
});
