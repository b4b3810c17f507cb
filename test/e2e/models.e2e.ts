/** With a language model that another extension brings: it explains a feature, and the tools of chat can be asked. */
import type { FrameLocator } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

describe.skipIf(!inject("ground").ready)("language models of VS Code", () => {
  let session: Session;
  let workbench: Workbench;
  const featurePage = (): Promise<FrameLocator> => workbench.webview(/L\d+\/F\d+/);

  beforeAll(async () => {
    session = await Session.start({
      files: { "review.txt": "A great cast in a dreadful film.\n" },
      settings: { "chat.disableAIFeatures": false, "lfpLens.chatTools.enabled": true },
      extension: "models-extension",
    });
    session.page.setDefaultTimeout(100_000);
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("explain a feature without a key, once a person agrees", async () => {
    await workbench.openSideBar();
    await workbench
      .pane("Features")
      .locator(".monaco-list-row", { hasText: /L\d\/F\d+.*not explained/ })
      .first()
      .click();
    const page = await featurePage();
    await page.getByText("Explain…").click();
    await workbench.pick("Made Model");
    await workbench.page.locator(".monaco-dialog-box", { hasText: "Made Model (made)" }).waitFor();
    await workbench.screenshot("explain by a model of VS Code");
    await workbench.page.getByRole("button", { name: "Explain", exact: true }).click();
    await page.getByText("a made-up explanation").first().waitFor();
    await workbench.screenshot("explained by a model of VS Code");
  });

  it("find the tools, which read a text", async () => {
    await workbench.run("Made: Ask the Tools");
    await workbench.notifications.getByText(/^5 tools; Mean over 3 words: /).waitFor();
  });
});
