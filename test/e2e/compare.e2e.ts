/** A person compares two checkpoints that came from no run of ours, and goes back to a run. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { starterFolder, starterRunFolder } from "../../server/common/package-root.ts";
import { Session } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const review = `I loved the first half: a great cast, a precious script, and music that is a delight.
Then it turns weak, the jokes are awful, and the ending is dreadful.

Still, it is beautifully shot and marvelous to listen to. A pity about the boring middle.
`;

describe.skipIf(!inject("ground").ready)("two checkpoints", () => {
  let session: Session;
  let workbench: Workbench;
  const isRead = (words: readonly ColouredWord[]): boolean => words.some(({ word }) => word === "great");

  beforeAll(async () => {
    session = await Session.start({ files: { "review.md": review } });
    await cp(starterFolder(), join(session.folder, "base"), { recursive: true });
    await cp(join(starterRunFolder(), "tuned"), join(session.folder, "tuned"), { recursive: true });
    workbench = await session.open();
    await workbench.openFile("review.md");
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  const compare = async (tuned: string, base: string): Promise<void> => {
    await workbench.run("LFP Lens: Compare Two Checkpoints…");
    await workbench.chooseFolder(join(session.folder, tuned), "tuned checkpoint");
    await workbench.chooseFolder(join(session.folder, base), "that it was tuned from");
  };

  it("colour the text by what tuning made likelier, in nats, without a run", async () => {
    await compare("tuned", "base");
    await workbench.coloured(isRead);
    await workbench.statusSays(/Learned reward · mean [+−]?\d\.\d\d nats/);
    await workbench.statusExplains("above zero: tuning made it likelier");
    await workbench.screenshot("compare-status");
    await workbench.hoverOver("great", "Tuning made it");
    await workbench.hoverOver("great", "was not measured for these two checkpoints");
    await workbench.screenshot("compare-hover");
    await workbench.page.keyboard.press("Escape");
  });

  it("have a scale and a list of strongest tokens with their unit, to go through by keyboard", async () => {
    await workbench.openSideBar();
    const view = workbench.pane("Reading");
    await view.locator(".pane-header", { hasText: /Learned reward · mean .* nats/ }).waitFor();
    const token = view.locator('.monaco-list-row[aria-label*=" nats, line "]').first();
    await token.waitFor();
    expect(await token.getAttribute("aria-label")).toMatch(/^.+, (\+|minus )\d+\.\d\d nats, line \d/);
    await workbench.screenshot("compare-reading");
    await workbench.run("View: Show Explorer");
    await workbench.focusEditor();
    await workbench.page.keyboard.press("Control+Home");
    await workbench.page.keyboard.press("Alt+F9");
    await workbench.page.locator(".monaco-hover:not(.hidden)", { hasText: "learned reward" }).first().waitFor();
    await workbench.page.keyboard.press("Escape");
  });

  it("offer the two modes that need no run, and no others", async () => {
    await workbench.status.click();
    const rows = workbench.quickPick.locator(".monaco-list-row");
    await rows.filter({ hasText: "Divergence" }).waitFor();
    const labels = await rows.evaluateAll((all) => all.map((row) => row.querySelector(".label-name")?.textContent));
    expect(labels.map((label) => label?.trim())).toEqual([
      "Automatic",
      "Learned reward",
      "Divergence",
      "Colour by token",
      "Hide the colours",
    ]);
    await workbench.pick("Divergence");
    await workbench.statusSays(/Divergence · mean \+\d\.\d\d nats/);
    const words = await workbench.coloured((found) => found.some(({ line }) => line.includes("dotted")));
    expect(words.filter(({ line }) => /solid|dashed/.test(line))).toEqual([]);
    await workbench.screenshot("compare-divergence");
  });

  it("of the same weights are refused with the reason, and what was compared before still is", async () => {
    await compare("base", "base");
    const told = workbench.notifications.filter({ hasText: "hold the same weights" });
    await told.waitFor();
    expect(await told.textContent()).toContain("give the tuned checkpoint and the one that it was tuned from");
    await workbench.screenshot("compare-refused");
    await workbench.run("Notifications: Clear All Notifications");
    await workbench.statusSays(/Divergence · mean/);
    await workbench.coloured(isRead);
  });

  it("are left for a run when one is chosen, and only then", async () => {
    await workbench.page.reload();
    await workbench.ready();
    await workbench.openSideBar();
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.statusExplains("tuned compared with base");
    await workbench.run("LFP Lens: Choose Run to Look Through…");
    await workbench.pick("The newest finished run");
    await workbench.statusExplains("starter-run");
    await workbench.status.click();
    await workbench.pick("Implicit reward");
    await workbench.statusSays(/Implicit reward · mean/);
    await workbench.hoverOver("great", "true reward");
  });
});
