/** A person runs an experiment, reloads the window in the middle, sees the run go on, and looks through it. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { tinyExperiment } from "../unit/pipeline/tiny-experiment.ts";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

/** Takes long enough that the window is back before the run ends. */
const experiment = { ...tinyExperiment, ppo: { ...tinyExperiment.ppo, steps: 120 } };

describe.skipIf(!inject("ground").ready)("a run", () => {
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    const files = {
      "tiny.lfp-experiment.json": JSON.stringify(experiment, undefined, 2),
      "review.txt": "A great cast in a dreadful film.\n",
    };
    session = await Session.start({ files });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  const row = (text: string | RegExp) =>
    workbench.page.locator(".pane", { hasText: "Runs" }).locator(".monaco-list-row", { hasText: text }).first();

  it("is started from its file and shown live, goes on through a reload, and is adopted again", async () => {
    await workbench.openFile("tiny.lfp-experiment.json");
    await workbench.run("LFP Lens: Start Run");
    const running = workbench.page.locator('.monaco-list-row[aria-label*="tiny: running"]').first();
    await running.waitFor();
    await workbench.page.reload();
    await workbench.ready();
    const start = performance.now();
    await running.waitFor();
    await workbench.screenshot("run-adopted");
    console.log(
      `measured: reload to the run seen again ${(performance.now() - start).toFixed(0)} ms after the window was ready`,
    );
  });

  it("finishes, and can be looked through", async () => {
    await row(/tiny.*(just now|ago)/).waitFor();
    await workbench.screenshot("run-finished");
    await workbench.openFile("review.txt");
    await workbench.run("LFP Lens: Show Implicit Reward");
    await workbench.statusExplains("tiny");
    expect(await session.serverProcesses()).toHaveLength(1);
  });
});
