/** A person works on what the lens finds in a text: every kind of theme, an ablation, a server that was killed, problems with their fixes. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session, WAIT_MS } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const review = `I loved the first half: a great cast, a precious script, and music that is a delight.
Then it turns weak, the jokes are awful, and the ending is dreadful.

Still, it is beautifully shot and marvelous to listen to. A pity about the boring middle.
`;

function bottomOf(box: { readonly y: number; readonly height: number } | null): number {
  return box === null ? Number.NaN : box.y + box.height;
}

describe.skipIf(!inject("ground").ready)("the lens on a text", () => {
  let session: Session;
  let workbench: Workbench;
  const isRead = (words: readonly ColouredWord[]): boolean => words.some(({ word }) => word === "great");

  beforeAll(async () => {
    session = await Session.start({ files: { "review.md": review, "probe.py": "# L4/F43 is praise\n" } });
    workbench = await session.open();
    await workbench.openFile("review.md");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.coloured(isRead);
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it.each([
    ["Light Modern", "vs"],
    ["Dark High Contrast", "hc-black"],
    ["Light High Contrast", "hc-light"],
    ["Dark Modern", "vs-dark"],
  ] as const)("is coloured and explained in the theme %s", async (theme, kind) => {
    await workbench.chooseTheme(theme, kind);
    await workbench.coloured(isRead);
    const hover = await workbench.hoverOver("great", "implicit reward");
    // All of it can be seen without scrolling, its last line too.
    const [whole, last] = [await hover.boundingBox(), await hover.getByText("How to read this").boundingBox()];
    expect(bottomOf(last)).toBeLessThanOrEqual(bottomOf(whole));
    await workbench.screenshot(`hover ${theme}`);
    await workbench.page.keyboard.press("Escape");
  });

  it("fades what is unfamiliar to the probe, and says so", async () => {
    await workbench.status.click();
    await workbench.pick("Implicit reward");
    // The text's first word is one that no triple asks about.
    const isFaded = { word: "I", background: "rgba(0, 0, 0, 0)", line: "1px solid" };
    // Until the answer comes, the colours are those of the reading before.
    const [first] = await workbench.coloured(([word]) => word?.word === "I" && word.line === isFaded.line);
    expect(first).toMatchObject(isFaded);
    await workbench.hoverOver("I", "Unfamiliar to the probe");
    await workbench.screenshot("hover unfamiliar");
    await workbench.page.keyboard.press("Escape");
  });

  it("is ablated from the hover: a feature stands in a file of the folder, and hover and status bar say so", async () => {
    // The hover's parts are those of this number, so that the first one's end changes its colour.
    const earlier = JSON.stringify(await workbench.coloured(isRead));
    await workbench.status.click();
    await workbench.pick("Learned reward by features");
    const isOther = (words: readonly ColouredWord[]): boolean => isRead(words) && JSON.stringify(words) !== earlier;
    const before = JSON.stringify(await workbench.coloured(isOther));
    const hover = await workbench.hoverOver("great", "By features");
    await hover
      .locator("a", { hasText: /^ablate$/ })
      .first()
      .click();
    await workbench.statusExplains("with 1 feature ablated");
    await workbench.statusSays(/1 feature ablated/);
    const file = await readFile(join(session.folder, "ablation.lfp-ablation.json"), "utf8");
    expect(JSON.parse(file)).toMatchObject({
      format: "lfp-ablation/1",
      features: [{ id: expect.stringMatching(/^L\d+\/F\d+$/), factor: 0 }],
    });
    await workbench.coloured((words) => JSON.stringify(words) !== before);
    await workbench.hoverOver("great", "With 1 feature ablated");
    await workbench.screenshot("ablated");
    await workbench.page.keyboard.press("Escape");
    await workbench.run("LFP Lens: Choose Ablation Set…");
    await workbench.pick("Nothing ablated");
    await workbench.coloured((words) => JSON.stringify(words) === before);
  });

  it("colours again after its server was killed, and leaves none behind", async () => {
    const [server] = await session.serverProcesses();
    if (server === undefined) throw new Error("no server runs");
    const before = await workbench.colouredWords();
    process.kill(server, "SIGKILL");
    await expect.poll(() => session.serverProcesses(), { timeout: WAIT_MS }).not.toContain(server);
    await workbench.typeAtEnd("I loved the great cast and the great music.");
    await workbench.coloured((words) => isRead(words) && words.length > before.length);
    expect(await session.serverProcesses()).toHaveLength(1);
  });

  it("lists disagreements as problems, and a quick fix ignores a word", async () => {
    await workbench.run("Problems: Focus on Problems View");
    const problems = workbench.page.locator(".markers-panel .monaco-list-row", { hasText: /“\w+”/ });
    await problems.first().waitFor();
    await workbench.screenshot("problems");
    const word = /“(\w+)”/.exec((await problems.first().textContent()) ?? "")?.[1] ?? "";
    const problem = problems.filter({ hasText: `“${word}”` }).first();
    await problem.click();
    await workbench.selected(word.length);
    await workbench.quickFix(`Ignore “${word}” in this document`);
    await problem.waitFor({ state: "detached" });
  });

  it("explains a feature that code names, and goes to what is known of it", async () => {
    await workbench.openFile("probe.py");
    await workbench.hoverOver("F43", "active on");
    await workbench.page.keyboard.press("Escape");
    await workbench.clickAt("F43");
    await workbench.run("Go to Definition");
    await workbench.tabShown("L4-F43.txt");
    await workbench.lineShown(/suppresses/);
    await workbench.screenshot("definition");
  });
});
