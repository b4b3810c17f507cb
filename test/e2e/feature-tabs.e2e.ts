/** A person looks through features one after another: a preview that the next one replaces, next and previous, the text behind an example. */
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session, WAIT_MS } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

describe.skipIf(!inject("ground").ready)("pages of features", () => {
  let session: Session;
  let workbench: Workbench;
  const rows = (): Locator => workbench.pane("Features").locator(".monaco-list-row");
  const idOf = async (at: number): Promise<string> =>
    /L\d+\/F\d+/.exec((await rows().nth(at).textContent()) ?? "")?.[0] ?? "none";
  const tabs = (): Locator => workbench.page.locator(".tab .label-name", { hasText: /L\d+\/F\d+/ });
  const tabNames = async (): Promise<string[]> => await tabs().allTextContents();

  beforeAll(async () => {
    session = await Session.start({ files: { "review.txt": "A great cast.\n" } });
    workbench = await session.open();
    await workbench.openSideBar();
    await workbench.pane("Runs").locator(".pane-header").click();
    await rows().first().waitFor();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("are previews: the next one takes the tab's place", async () => {
    const [first, second] = [await idOf(0), await idOf(1)];
    await rows().nth(0).click();
    await workbench.tabShown(`Preview ${first}`);
    await (await workbench.webview(first)).getByRole("heading", { name: first }).waitFor();
    await rows().nth(1).click();
    await workbench.tabShown(`Preview ${second}`);
    await (await workbench.webview(second)).getByRole("heading", { name: second }).waitFor();
    expect(await tabNames()).toEqual([expect.stringContaining(second)]);
    await workbench.screenshot("feature preview");
  });

  it("are previews after a reload too, and kept where they were kept", async () => {
    const [first, second, third] = [await idOf(0), await idOf(1), await idOf(2)];
    await rows().nth(0).dblclick();
    await expect.poll(tabNames, { timeout: WAIT_MS }).toEqual([expect.stringMatching(new RegExp(`^${first}`))]);
    await rows().nth(1).click();
    await workbench.tabShown(`Preview ${second}`);
    await (await workbench.webview(second)).getByRole("heading", { name: second }).waitFor();
    // In order, so that VS Code keeps which tabs are open.
    await Promise.all([workbench.page.waitForEvent("load"), workbench.run("Developer: Reload Window")]);
    await workbench.ready();
    await workbench.tabShown(`Preview ${second}`);
    await rows().nth(2).click();
    await workbench.tabShown(`Preview ${third}`);
    await (await workbench.webview(third)).getByRole("heading", { name: third }).waitFor();
    expect(await tabNames()).toEqual([first, `Preview ${third}`].map((name) => expect.stringContaining(name)));
    await workbench.run("View: Close All Editors");
    await expect.poll(tabNames, { timeout: WAIT_MS }).toHaveLength(0);
    await rows().nth(1).click();
    await workbench.tabShown(`Preview ${second}`);
  });

  it("go on in the order of the view, by keys and by button", async () => {
    const [first, second, third] = [await idOf(0), await idOf(1), await idOf(2)];
    const page = await workbench.webview(second);
    await page.getByText(/^2 of \d+$/).waitFor();
    await page.getByRole("button", { name: "Next ›" }).click();
    await workbench.tabShown(third);
    await page.getByRole("heading", { name: third }).waitFor();
    await page.getByRole("heading", { name: third }).click();
    for (const id of [second, first]) {
      await workbench.page.keyboard.press("Shift+Alt+F9");
      await workbench.tabShown(id);
    }
    await page.getByRole("heading", { name: first }).waitFor();
    expect(await page.getByRole("button", { name: "‹ Previous" }).isDisabled()).toBe(true);
    expect(await tabNames()).toHaveLength(1);
  });

  it("stay when they are kept, or clicked twice", async () => {
    const [first, second, third] = [await idOf(0), await idOf(1), await idOf(2)];
    await (await workbench.webview(first)).getByRole("button", { name: "Keep Open" }).click();
    await expect.poll(tabNames, { timeout: WAIT_MS }).toEqual([expect.not.stringContaining("Preview")]);
    await rows().nth(1).dblclick();
    await expect
      .poll(tabNames, { timeout: WAIT_MS })
      .toEqual([expect.stringContaining(first), expect.stringMatching(new RegExp(`^${second}`))]);
    await rows().nth(2).click();
    await workbench.tabShown(`Preview ${third}`);
    expect(await tabNames()).toHaveLength(3);
  });

  it("lead from an example to the text that it was cut from", async () => {
    const page = await workbench.webview(await idOf(2));
    await page
      .getByRole("button", { name: /^Open the source, reviews\.jsonl/ })
      .first()
      .click();
    await workbench.tabShown("reviews.jsonl");
    await workbench.selected(/\(\d+ selected\)/);
    await workbench.screenshot("feature source");
  });
});
