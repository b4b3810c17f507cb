/** A person changes factors in the view of the ablation set and sees the colours follow; a set of another run is not applied. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FrameLocator } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session, WAIT_MS } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const review = `I loved the first half: a great cast, a precious script, and music that is a delight.
Then it turns weak, the jokes are awful, and the ending is dreadful.
`;

const foreign = {
  format: "lfp-ablation/1",
  run: { name: "lauf-2", dictionaries: "another" },
  features: [{ id: "L4/F11", factor: 0 }],
};

function bottomOf(box: { readonly y: number; readonly height: number } | null): number {
  return box === null ? Number.NaN : box.y + box.height;
}

describe.skipIf(!inject("ground").ready)("the view of the ablation set", () => {
  let session: Session;
  let workbench: Workbench;
  let view: FrameLocator;
  const isRead = (words: readonly ColouredWord[]): boolean => words.some(({ word }) => word === "great");
  const fileOf = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(session.folder, name), "utf8"));

  beforeAll(async () => {
    session = await Session.start({ files: { "review.txt": review } });
    workbench = await session.open();
    await workbench.openFile("review.txt");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.coloured(isRead);
    await workbench.status.click();
    await workbench.pick("Implicit reward");
    await workbench.statusSays("Implicit reward");
    await workbench.openSideBar();
    await workbench.pane("Ablation Set").locator(".pane-header").click();
    for (const other of ["Runs", "Features"] as const) await workbench.pane(other).locator(".pane-header").click();
    view = workbench.onlyWebview();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("is beside a text of two lines, whose hover shows its last line in the implicit mode too", async () => {
    await view.getByText("No ablation set is active.").waitFor();
    const hover = await workbench.hoverOver("great", "implicit reward");
    const [whole, last] = [await hover.boundingBox(), await hover.getByText("How to read this").boundingBox()];
    await workbench.screenshot("hover implicit two lines");
    expect(bottomOf(last)).toBeLessThanOrEqual(bottomOf(whole));
    await workbench.page.keyboard.press("Escape");
  });

  it("fills as features are ablated, and its sliders change file and colours", async () => {
    await view.getByText("No ablation set is active.").waitFor();
    const before = JSON.stringify(await workbench.coloured(isRead));
    const hover = await workbench.hoverOver("great", "implicit reward");
    await hover
      .locator("a", { hasText: /^ablate$/ })
      .first()
      .click();
    const slider = view.getByRole("slider").first();
    await slider.waitFor();
    await workbench.statusSays(/1 feature ablated/);
    await workbench.coloured((words) => isRead(words) && JSON.stringify(words) !== before);
    // A factor of 1 is the model as it is.
    await slider.focus();
    for (const _ of Array.from({ length: 20 })) await workbench.page.keyboard.press("ArrowRight");
    await view.getByText("as it is").waitFor();
    await workbench.coloured((words) => JSON.stringify(words) === before);
    await workbench.page.keyboard.press("End");
    await workbench.statusSays(/1 feature scaled/);
    await expect
      .poll(() => fileOf("ablation.lfp-ablation.json"), { timeout: WAIT_MS })
      .toMatchObject({ features: [{ factor: 2 }], run: { name: expect.any(String) } });
    await workbench.page.mouse.move(800, 700);
    await workbench.hover.waitFor({ state: "detached" });
    await workbench.screenshot("ablation set");
  });

  it("switches the set off and on, and restores it", async () => {
    await view.getByRole("switch", { name: "Apply the set" }).click();
    await view.getByText("Switched off.").waitFor();
    await workbench.statusExplains("is switched off");
    await view.getByRole("switch", { name: "Apply the set" }).click();
    await workbench.statusSays(/1 feature scaled/);
    await view.getByRole("button", { name: "Restore All" }).click();
    await view.getByText("as it is").waitFor();
    await view.getByRole("slider").first().focus();
    await workbench.page.keyboard.press("Home");
    await workbench.statusSays(/1 feature ablated/);
  });

  it.each([
    ["Light Modern", "vs"],
    ["Dark High Contrast", "hc-black"],
    ["Light High Contrast", "hc-light"],
    ["Dark Modern", "vs-dark"],
  ] as const)("follows the theme %s", async (theme, kind) => {
    await workbench.chooseTheme(theme, kind);
    await view.getByRole("slider").first().waitFor();
    await workbench.screenshot(`ablation set ${theme}`);
  });

  it("fits a small window", async () => {
    await workbench.page.setViewportSize({ width: 800, height: 600 });
    await view.getByRole("slider").first().scrollIntoViewIfNeeded();
    await workbench.screenshot("ablation set 800x600");
    await workbench.page.setViewportSize({ width: 1280, height: 800 });
  });

  it("does not apply a set of another run, and says so", async () => {
    await writeFile(join(session.folder, "other.lfp-ablation.json"), JSON.stringify(foreign));
    await workbench.run("LFP Lens: Choose Ablation Set…");
    await workbench.pick("other.lfp-ablation.json");
    await workbench.notifications.getByText(/belongs to lauf-2, and is not applied here/).waitFor();
    await view.getByText("Not applied: it belongs to lauf-2").waitFor();
    await workbench.statusExplains("belongs to lauf-2");
    await workbench.screenshot("ablation set of another run");
  });
});
