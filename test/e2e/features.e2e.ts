/** With nothing but the run that comes with the extension, a person finds out what a feature is: table, page, label, explanation, ablation. */
import type { FrameLocator, Locator } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

describe.skipIf(!inject("ground").ready)("the features of the starter's run", () => {
  let session: Session;
  let workbench: Workbench;
  const row = (text: string | RegExp): Locator =>
    workbench.pane("Features").locator(".monaco-list-row", { hasText: text }).first();
  const featurePage = (): Promise<FrameLocator> => workbench.webview(/L\d+\/F\d+/);

  beforeAll(async () => {
    session = await Session.start({ files: { "review.txt": "A great cast in a dreadful film.\n" } });
    session.page.setDefaultTimeout(200_000);
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("stand in a table, sorted and found by what they are active on", async () => {
    await workbench.openSideBar();
    await row(/L\d\/F\d+/).waitFor();
    await workbench.run("LFP Lens: Open Features");
    const page = await workbench.webview(/^Features: /);
    await page.getByRole("grid").locator(".id").first().waitFor();
    await page.getByRole("button", { name: /^Score/ }).click();
    await page.locator('[role="columnheader"][aria-sort="descending"]', { hasText: "Score" }).waitFor();
    await page.getByRole("grid").locator(".id").first().waitFor();
    await workbench.screenshot("features");
    await page.getByRole("textbox", { name: "Search features" }).fill("could");
    await page
      .getByRole("status")
      .getByText(/^\d+ features?$/)
      .waitFor();
    await page.getByRole("grid").locator(".id").first().waitFor();
  });

  it("a feature's page takes labels, reads one's own text, and ablates", async () => {
    // Explained below: one that the run has not explained.
    await row(/L\d\/F\d+.*not explained/).click();
    const page = await featurePage();
    await page.getByRole("heading", { name: "Examples" }).waitFor();
    await page.getByRole("textbox", { name: "New label" }).fill("by hand");
    await workbench.page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Remove the label by hand" }).waitFor();
    await row("[by hand]").waitFor();
    await page.getByRole("textbox", { name: "Your own text" }).fill("a great film with a weak story");
    await page.getByText("Read Text").click();
    await page
      .getByRole("status")
      .getByText(/^strongest /)
      .waitFor();
    await page.getByText("Ablate", { exact: true }).click();
    await page.getByText("ablated", { exact: true }).waitFor();
    await workbench.screenshot("feature");
  });

  it.each([
    ["Light Modern", "vs", "vscode-light"],
    ["Dark High Contrast", "hc-black", "vscode-high-contrast"],
    ["Dark Modern", "vs-dark", "vscode-dark"],
  ] as const)("the page follows the theme %s", async (theme, kind, className) => {
    await workbench.chooseTheme(theme, kind);
    await (await featurePage()).locator(`body.${className}`).waitFor();
    await workbench.screenshot(`feature ${theme}`);
  });

  it("a feature is explained offline, in its page and in the view", async () => {
    const page = await featurePage();
    await page.getByText("Explain…").click();
    await workbench.pick("Offline");
    await page.getByText("explained offline").waitFor();
    await row(/\[by hand\] strongest on/).waitFor();
    await workbench.screenshot("feature explained");
  });

  it("an ablation is measured with its controls", async () => {
    const page = await featurePage();
    await page.getByText(/^Measure( again)? with controls$/).click();
    await page.getByText("change of mean reward over 256 prompts").waitFor();
    const figure = page.getByRole("img", { name: /^this feature: / });
    for (const control of ["set to its mean", "random sets", "reconstruction only"])
      await figure.getByText(control, { exact: true }).first().waitFor();
    await figure.scrollIntoViewIfNeeded();
    await workbench.screenshot("feature measured");
  });

  it("the report has the ablation in its section of what was measured after the run, marked as no part of it", async () => {
    await workbench.run("LFP Lens: Open Report");
    const report = await workbench.webview(/^Report: /);
    const after = report.locator("section.after");
    const heading = after.getByRole("heading", { name: "Measured after the run", exact: true });
    await heading.waitFor();
    await after.getByRole("cell", { name: /^1\. L\d+\/F\d+ removed$/ }).waitFor();
    await after
      .getByRole("cell", { name: "random features, as often and as strongly active, draw 1" })
      .first()
      .waitFor();
    await heading.scrollIntoViewIfNeeded();
    await workbench.screenshot("report after the run");
    await report.getByRole("heading", { name: /Table 8/ }).scrollIntoViewIfNeeded();
    await workbench.screenshot("report tables");
    await workbench.chooseTheme("Light Modern", "vs");
    await workbench.screenshot("report Light Modern");
    await workbench.chooseTheme("Dark Modern", "vs-dark");
    await row("[by hand]").click();
  });

  it("completions before and after are compared in the diff editor", async () => {
    await (await featurePage()).getByText("Compare Completions").click();
    await workbench.tabShown("before and after ablating L");
    await workbench.page.locator(".monaco-diff-editor .modified .view-line").first().waitFor();
    await workbench.screenshot("completions");
  });
});
