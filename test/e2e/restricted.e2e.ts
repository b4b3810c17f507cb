/** Restricted Mode: a folder from nobody knows where. Texts are read through our own run; nothing of the folder's is loaded or started. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

describe.skipIf(!inject("ground").ready)("a folder that is not trusted", () => {
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    session = await Session.start({
      files: { "review.txt": "A great cast, a weak ending.\n" },
      settings: { "security.workspace.trust.startupPrompt": "never" },
      trustsFolders: false,
    });
    workbench = await session.open();
    await workbench.page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("has its texts read through the run that came with the extension", async () => {
    await workbench.openFile("review.txt");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.coloured((words) => words.some(({ word }) => word === "great"));
    await workbench.statusExplains("starter-run");
  });

  it("has no run started, and is told why", async () => {
    await workbench.run("LFP Lens: Focus on Runs View");
    await workbench.page.getByText("In Restricted Mode no run is started.").waitFor();
    await workbench.screenshot("restricted");
    await workbench.page.keyboard.press("F1");
    const offered = workbench.page.locator(".quick-input-list .monaco-list-row");
    for (const command of ["Run the Quick Demo", "Cancel Run", "Choose Run to Look Through"]) {
      await workbench.quickPick.locator("input.input").fill(`>LFP Lens: ${command}`);
      // VS Code offers others in the place of a command that there is not.
      await offered.filter({ hasText: "similar commands" }).waitFor();
      expect(await offered.filter({ hasText: command }).count()).toBe(0);
    }
  });
});
