/** A person runs an experiment, reloads the window in the middle, sees the run go on, ends it, runs another and looks through it. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { tinyExperiment } from "../unit/pipeline/tiny-experiment.ts";
import { measured } from "./support/measured.ts";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

/** Does not end by itself while the test looks. */
const endless = { ...tinyExperiment, name: "endless", tuning: { ...tinyExperiment.tuning, steps: 10_000 } };

describe.skipIf(!inject("ground").ready)("a run", () => {
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    const files = {
      "endless.lfp-experiment.json": JSON.stringify(endless, undefined, 2),
      "tiny.lfp-experiment.json": JSON.stringify(tinyExperiment, undefined, 2),
      "review.txt": "A great cast in a dreadful film.\n",
    };
    session = await Session.start({ files });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  /** A run as it is read out: its name and its state. */
  const run = (label: string) => workbench.pane("Runs").locator(`.monaco-list-row[aria-label*="${label}"]`).first();
  const barItem = () => workbench.page.locator('.statusbar-item[id*="lfpLens.run"]').filter({ hasText: "endless" });

  /** Reloads the window, waits until the run is seen in this state, and tells where the time went. */
  const reload = async (state: "running" | "cancelled"): Promise<void> => {
    const startMs = Date.now();
    await workbench.page.reload();
    await workbench.ready();
    const readyMs = Date.now();
    await run(`endless: ${state}`).waitFor();
    const shownMs = Date.now();
    await workbench.screenshot(`run-seen-again-${state}`);
    const host = await session.logged("host", /^Extension host with pid \d+ started/, startMs);
    const active = await session.logged("host", "_doActivateExtension lfp-lens.lfp-lens", startMs);
    const answer = await session.logged("extension", "The analysis server answered", startMs);
    measured(`run ${state}: reload to window ready`, readyMs - startMs);
    measured(`run ${state}: reload to extension host started`, host.timeMs - startMs);
    measured(`run ${state}: extension host started to the extension's activation`, active.timeMs - host.timeMs);
    measured(`run ${state}: activation to first answer of the server`, answer.timeMs - active.timeMs);
    measured(`run ${state}: activation to the run seen again`, shownMs - active.timeMs);
    measured(
      `run ${state}: activation, with what else VS Code did meanwhile, as it shows it`,
      await workbench.activationMs(),
    );
  };

  /** Ends a run that is seen in its view. */
  const cancel = async (name: string): Promise<void> => {
    const row = run(`${name}: running`);
    await row.waitFor();
    await row.hover();
    await row.getByRole("button", { name: "Cancel Run" }).click();
    await run(`${name}: cancelled`).waitFor();
  };

  it("is the quick demo after one click where there is none yet, and stops when it is told to", async () => {
    await workbench.openSideBar();
    await workbench.pane("Runs").getByText("Run the Quick Demo", { exact: true }).first().click();
    await run("quick: running tune").waitFor();
    await workbench.screenshot("run-quick");
    await cancel("quick");
  });

  it("is started from its file, shown live, goes on through a reload, and is seen again after it", async () => {
    await workbench.openFile("review.txt");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.coloured((words) => words.some(({ word }) => word === "great"));
    await workbench.openFile("endless.lfp-experiment.json");
    await workbench.run("LFP Lens: Start Run from Experiment File");
    await run("endless: running").waitFor();
    await workbench.screenshot("run-live");
    await reload("running");
  });

  it("leaves the colours off after the reload, until they are asked for", async () => {
    await workbench.openFile("review.txt");
    await workbench.statusSays(/^\s*LFP Lens\s*$/);
    expect(await workbench.colouredWords()).toEqual([]);
  });

  it("is told of in the status bar after a reload though its view is not open", async () => {
    await workbench.run("View: Show Explorer");
    await workbench.page.locator(".explorer-folders-view").waitFor();
    // In order, so that VS Code keeps which view is open.
    await Promise.all([workbench.page.waitForEvent("load"), workbench.run("Developer: Reload Window")]);
    await workbench.ready();
    await barItem().waitFor();
    expect(await workbench.pane("Runs").count()).toBe(0);
  });

  it("is ended from its view", async () => {
    await barItem().click();
    await cancel("endless");
    await workbench.screenshot("run-cancelled");
  });

  it("is there after another reload, with nothing at work beside it", async () => {
    await reload("cancelled");
  });

  it("finishes, and can be looked through", async () => {
    await workbench.openFile("tiny.lfp-experiment.json");
    await workbench.run("LFP Lens: Start Run from Experiment File");
    await run("tiny: done").waitFor();
    await workbench.screenshot("run-finished");
    await workbench.openFile("review.txt");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.statusExplains("tiny");
    expect(await session.serverProcesses()).toHaveLength(1);
  });
});
