/** A person writes an experiment file and is told of what does not fit before anything is started. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

const experiment = `{
  "preset": "quick",
  "name": "mine",
  "tuning": { "batchSize": 60 },
  "data": { "source": { "file": "./texts.jsonl" } }
}
`;

describe.skipIf(!inject("ground").ready)("an experiment file", () => {
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    session = await Session.start({ files: { "mine.lfp-experiment.json": experiment } });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  const asked = async (which: string): Promise<void> => {
    await workbench.quickPick.getByText(`New Experiment ${which}`).waitFor();
  };

  it("is checked as soon as it is open, and again as one types", async () => {
    await workbench.openFile("mine.lfp-experiment.json");
    await workbench.run("Problems: Focus on Problems View");
    const problems = workbench.page.locator(".markers-panel");
    await problems.getByText("tuning.miniBatchSize: must divide batchSize", { exact: false }).waitFor();
    await workbench.screenshot("experiment-problems");
    expect(await problems.getByText("LFP Lens experiment").count()).toBe(1);

    await workbench.clickAt("60");
    await workbench.page.keyboard.press("End");
    for (const _ of "60 },") await workbench.page.keyboard.press("Backspace");
    await workbench.page.keyboard.type("64 },");
    await problems.getByText("data.source: there is no file", { exact: false }).waitFor();
    expect(await problems.getByText("must divide").count()).toBe(0);
  });

  it("is made by New Experiment from three answers, and its schema explains and completes it", async () => {
    await workbench.run("LFP Lens: New Experiment");
    await asked("(1/3)");
    await workbench.pick("quick");
    await asked("(2/3)");
    await workbench.page.keyboard.press("Enter");
    await asked("(3/3)");
    await workbench.search("own");
    await workbench.page.keyboard.press("Enter");
    await workbench.tabShown("own.lfp-experiment.json");
    await workbench.lineShown(/"preset"/);
    const file = await readFile(join(session.folder, "own.lfp-experiment.json"), "utf8");
    expect(JSON.parse(file)).toEqual({ preset: "quick", name: "own" });

    await workbench.hoverOver("preset", /settings that hold where the file says nothing else/);
    await workbench.clickAt("own");
    await workbench.page.keyboard.press("End");
    await workbench.page.keyboard.type(",");
    await workbench.page.keyboard.press("Enter");
    await workbench.run("Trigger Suggest");
    const suggested = workbench.page.locator(".suggest-widget.visible .monaco-list-row");
    await suggested.filter({ hasText: "divergence" }).first().waitFor();
    await workbench.screenshot("experiment-completion");
  });

  it("is told of in the walkthrough, with what else one does first", async () => {
    await workbench.run("View: Hide Panel");
    await workbench.run("View: Toggle Primary Side Bar Visibility");
    await workbench.run("Welcome: Open Walkthrough...");
    await workbench.search("Start with LFP Lens");
    await workbench.pick("Start with LFP Lens");
    const page = workbench.page.locator(".gettingStartedContainer");
    await page.getByText("Read a text through a finished run").first().waitFor();
    await page.getByRole("button", { name: "Show Learned Reward" }).first().waitFor();
    const media = page.locator(".getting-started-media iframe.webview.ready").contentFrame();
    await media.locator("#active-frame").contentFrame().locator("svg").first().waitFor();
    await workbench.screenshot("walkthrough");
    expect(await workbench.notifications.count()).toBe(0);
  });
});
