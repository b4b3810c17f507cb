/** A person opens a preference file and sees how a model learned its pairs, through a run and through two checkpoints. */
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { starterFolder, starterRunFolder } from "../../server/common/package-root.ts";
import { Session } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const turn = "\n\nHuman: How was the film?\n\nAssistant:";
const [praise, blame] = [" It was great, a precious delight.", " It was awful, weak and boring."];
const rows = [
  { prompt: "I saw this film.", chosen: praise, rejected: blame },
  { chosen: turn + praise, rejected: turn + blame },
  {
    prompt: [{ role: "user", content: "Was it good?" }],
    chosen: [{ role: "assistant", content: "Dreadful, a terrible mess." }],
    rejected: [{ role: "assistant", content: "Marvelous, I loved the cast." }],
  },
  { prompt: "How?", chosen: "Fine.", rejected: "Fine." },
];
const preferences = `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`;
const RECORDS = 50_000;
/** One in a hundred prefers the blame. */
const many = Array.from({ length: RECORDS }, (_, at) => {
  const [chosen, rejected] = at % 100 === 99 ? [blame, praise] : [praise, blame];
  return JSON.stringify({ prompt: `Film ${at}:`, chosen, rejected });
}).join("\n");

describe.skipIf(!inject("ground").ready)("a preference file", () => {
  let session: Session;
  let workbench: Workbench;
  const isRead = (words: readonly ColouredWord[]): boolean =>
    words.some(({ word }) => word === "precious") && words.some(({ word }) => word === "loved");
  const lenses = (text: string | RegExp) => workbench.editor.locator(".codelens-decoration").filter({ hasText: text });

  beforeAll(async () => {
    session = await Session.start({ files: { "pairs.jsonl": preferences, "many.jsonl": many } });
    await cp(starterFolder(), join(session.folder, "base"), { recursive: true });
    await cp(join(starterRunFolder(), "tuned"), join(session.folder, "tuned"), { recursive: true });
    workbench = await session.open();
    await workbench.openFile("pairs.jsonl");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.coloured(isRead);
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it.each([
    ["Light Modern", "vs"],
    ["Dark Modern", "vs-dark"],
  ] as const)("has its answers coloured and a line above each pair, in the theme %s", async (theme, kind) => {
    await workbench.chooseTheme(theme, kind);
    const words = await workbench.coloured(isRead);
    // Neither names of fields nor prompts are read.
    expect(words.map(({ word }) => word)).not.toContain("Human");
    await lenses(/Learned as given, chosen over rejected: margin \+\d/)
      .nth(1)
      .waitFor();
    await lenses(/Given: chosen over rejected\. Learned the other way: margin −\d/).waitFor();
    await lenses("beta 1, as none is known").first().waitFor();
    await lenses("Not read as a pair: both answers are the same").waitFor();
    await workbench.statusSays("learned preference agrees in 2 of 3 pairs read");
    await workbench.statusExplains("1 not read as pairs; margins by beta 1, as none is known");
    await workbench.screenshot(`pairs ${theme}`);
  });

  it("is listed pair by pair in the Reading view", async () => {
    await workbench.openSideBar();
    const row = workbench.pane("Reading").locator('.monaco-list-row[aria-label*="learned the other way"]').first();
    await row.waitFor();
    expect(await row.getAttribute("aria-label")).toMatch(/^margin minus \d+\.\d\d nats, line 3, learned the other way/);
    await workbench.screenshot("pairs reading");
    await workbench.run("View: Show Explorer");
  });

  it("says in a word's hover what the word contributes to its pair's margin", async () => {
    const hover = await workbench.hoverOver("precious", /In the chosen answer: .* of the pair's margin of/);
    const [whole, last] = [await hover.boundingBox(), await hover.getByText("How to read this").boundingBox()];
    expect((last?.y ?? 0) + (last?.height ?? 0)).toBeLessThanOrEqual((whole?.y ?? 0) + (whole?.height ?? 0));
    await workbench.screenshot("pairs hover");
    await workbench.page.keyboard.press("Escape");
  });

  it("has a problem for the pair that was learned the other way, whose fix shows the words behind it", async () => {
    await workbench.run("Problems: Focus on Problems View");
    const problem = workbench.page.locator(".markers-panel .monaco-list-row", {
      hasText: "the model learned the other way",
    });
    await problem.waitFor();
    await workbench.screenshot("pairs problems");
    await problem.dblclick();
    await workbench.quickFix("Show the words behind the margin");
    const rows = workbench.quickPick.locator(".monaco-list-row");
    await rows
      .filter({ hasText: /answer, (for|against) the given preference/ })
      .first()
      .waitFor();
    await workbench.screenshot("pairs words");
    await workbench.page.keyboard.press("Escape");
    await workbench.page.keyboard.press("Control+j");
  });

  it("is read through two checkpoints in the same way, and nothing is written into it", async () => {
    await workbench.run("LFP Lens: Compare Two Checkpoints…");
    await workbench.chooseFolder(join(session.folder, "tuned"), "tuned checkpoint");
    await workbench.chooseFolder(join(session.folder, "base"), "that it was tuned from");
    await workbench.statusExplains("tuned compared with base");
    await workbench.statusSays("learned preference agrees in 2 of 3 pairs read");
    await workbench.hoverOver("precious", /In the chosen answer: .* of the pair's margin of/);
    await workbench.page.keyboard.press("Escape");
    expect(await readFile(join(session.folder, "pairs.jsonl"), "utf8")).toBe(preferences);
  });

  it(`of ${RECORDS} records shows what is visible within seconds, and finds and lists pairs with progress`, async () => {
    const startMs = performance.now();
    await workbench.openFile("many.jsonl");
    await lenses("Learned as given").first().waitFor();
    expect(performance.now() - startMs).toBeLessThan(30_000);
    await workbench.statusSays(/learned preference agrees in \d+ of \d+ pairs read/);
    await workbench.screenshot("pairs many");
    await workbench.focusEditor();
    await workbench.page.keyboard.press("Control+Home");
    await workbench.run("LFP Lens: Go to Next Pair Learned the Other Way");
    await workbench.page.locator('[id="status.editor.selection"]', { hasText: "Ln 100, Col 1" }).waitFor();
    await workbench.run("LFP Lens: Go to Next Pair Learned the Other Way");
    await workbench.page.locator('[id="status.editor.selection"]', { hasText: "Ln 200, Col 1" }).waitFor();
    await workbench.run("LFP Lens: Go to Previous Pair Learned the Other Way");
    await workbench.page.locator('[id="status.editor.selection"]', { hasText: "Ln 100, Col 1" }).waitFor();
    await lenses("Learned the other way").first().waitFor();
    await workbench.run("LFP Lens: List Pairs That Were Learned the Other Way…");
    const progress = workbench.notifications.filter({ hasText: "reading pairs" });
    await progress.filter({ hasText: /pairs read.*; line \d+ of 50000/ }).waitFor();
    await workbench.screenshot("pairs progress");
    await progress.getByRole("button", { name: "Cancel" }).click();
    const rows = workbench.quickPick.locator(".monaco-list-row");
    await rows
      .filter({ hasText: /line \d+00/ })
      .first()
      .waitFor();
    await workbench.quickPick.filter({ hasText: "stopped before the end" }).waitFor();
    await workbench.screenshot("pairs list");
    await workbench.page.keyboard.press("Escape");
  });
});
