/** What a person finds who looks for help: the extension's page, what the machine lacks, and what a report of a fault needs. */
import { afterAll, beforeAll, beforeEach, describe, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

describe.skipIf(!inject("ground").ready)("help", () => {
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    session = await Session.start({
      files: { "review.txt": "A great cast.\n" },
      settings: { "lfpLens.overlay.unit": "token" },
    });
    session.page.setDefaultTimeout(100_000);
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("the extension's page tells who installed it how to begin", async () => {
    await workbench.run("Extensions: Show Installed Extensions");
    await workbench.page.locator(".extensions-viewlet .monaco-list-row", { hasText: "LFP Lens" }).first().click();
    const page = workbench.page.frameLocator("iframe.webview.ready").last().frameLocator("#active-frame");
    await page.getByText("Show Learned Reward").first().waitFor();
    await page.getByText("Your data").waitFor();
    await workbench.screenshot("extension page");
  });

  it("doctor says what the machine has", async () => {
    await workbench.run("LFP Lens: Check This Machine (Doctor)");
    await workbench.lineShown(/CPU\sdevice\s+works/);
    await workbench.screenshot("doctor");
  });

  it("a report of a fault has versions, state, changed settings and what the machine has", async () => {
    await workbench.run("LFP Lens: Report Issue");
    await workbench.lineShown(/#\sWhat\swent\swrong/);
    await workbench.lineShown(/lfpLens\.overlay\.unit:\s"token"/);
    await workbench.lineShown(/CPU\sdevice\s+works/);
    await workbench.screenshot("report of a fault");
  });
});
