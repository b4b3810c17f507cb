/** A person writes an experiment file and is told of what does not fit before anything is started. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

const experiment = `{
  "preset": "quick",
  "name": "mine",
  "ppo": { "batchSize": 60 },
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

  it("is checked as soon as it is open, and again as one types", async () => {
    await workbench.openFile("mine.lfp-experiment.json");
    await workbench.run("Problems: Focus on Problems View");
    const problems = workbench.page.locator(".markers-panel");
    await problems.getByText("ppo.miniBatchSize: must divide batchSize", { exact: false }).waitFor();
    await workbench.screenshot("experiment-problems");
    expect(await problems.getByText("LFP Lens experiment").count()).toBe(1);

    await workbench.clickAt("60");
    await workbench.page.keyboard.press("End");
    for (const _ of "60 },") await workbench.page.keyboard.press("Backspace");
    await workbench.page.keyboard.type("64 },");
    await problems.getByText("data.source: there is no file", { exact: false }).waitFor();
    expect(await problems.getByText("must divide").count()).toBe(0);
  });
});
