/** Where text is: a table's columns, a selection alone, and numbers that stand in the text. */
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const table = `id,review,note
1,"I loved it: a ""great"" cast, and music that is a delight.",seen twice
2,"The jokes are awful, and the ending is dreadful.",never again
3,"A wonderful script; a pity about the boring middle.",wonderful to hear
`;
const review = `I loved the first half: a great cast, and music that is a delight.

Then it turns weak, the jokes are awful, and the ending is dreadful.
`;

describe.skipIf(!inject("ground").ready)("parts of documents", () => {
  let session: Session;
  let workbench: Workbench;
  const has = (words: readonly ColouredWord[], ...wanted: readonly string[]): boolean =>
    wanted.every((one) => words.some(({ word }) => word === one));
  const wordsOf = (words: readonly ColouredWord[]): string[] => words.map(({ word }) => word);
  const lens = (text: string | RegExp): Locator =>
    workbench.editor.locator(".codelens-decoration", { hasText: text }).first();
  const line = (text: string): Locator => workbench.editor.locator(".view-line", { hasText: text }).first();

  /** Ticks a column in the list of those to read, or takes its tick away. */
  const toggleColumn = async (name: string): Promise<void> => {
    await workbench.run("LFP Lens: Choose Columns of the Table…");
    await workbench.quickPick.locator(".monaco-list-row", { hasText: name }).click();
    await workbench.page.keyboard.press("Enter");
    await workbench.quickPick.waitFor({ state: "hidden" });
  };

  beforeAll(async () => {
    session = await Session.start({ files: { "reviews.csv": table, "review.txt": review } });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("a table is coloured in the column that holds texts, and in another when a person chooses it", async () => {
    await workbench.openFile("reviews.csv");
    await workbench.run("LFP Lens: Show Learned Reward");
    const words = wordsOf(await workbench.coloured((found) => has(found, "great", "dreadful")));
    expect(words.filter((word) => ["seen", "twice", "never", "review", "id"].includes(word))).toEqual([]);
    await toggleColumn("note");
    const others = wordsOf(await workbench.coloured((found) => has(found, "seen") && !has(found, "great")));
    expect(others).not.toContain("dreadful");
  });

  it("numbers stand above records, at line ends, and behind words", async () => {
    await toggleColumn("note");
    await workbench.coloured((found) => has(found, "great"));
    await workbench.run("LFP Lens: Show Numbers in the Text…");
    await workbench.pick("The mean of each paragraph or record, above it");
    await lens(/mean [+−]\d+\.\d\d nats over \d+ words, strongest “/).waitFor();
    await workbench.screenshot("table");
    await workbench.run("LFP Lens: Show Numbers in the Text…");
    await workbench.pick("The mean of each line, at its end");
    await line("jokes")
      .filter({ hasText: /never\sagain\s*[+−]\d+\.\d\d/ })
      .waitFor();
    await workbench.screenshot("numbers at line ends");
    await workbench.run("LFP Lens: Show Numbers in the Text…");
    await workbench.pick("The value of each coloured word, behind it");
    await line("jokes")
      .filter({ hasText: /dreadful\s*[+−]\d+\.\d\d\./ })
      .waitFor();
    await workbench.screenshot("numbers behind words");
    await workbench.run("LFP Lens: Show Numbers in the Text…");
    await workbench.pick("None");
    await line("jokes")
      .filter({ hasText: /dreadful\./ })
      .waitFor();
  });

  it("only a selection is coloured and counted, until the whole is read again", async () => {
    await workbench.openFile("review.txt");
    const all = wordsOf(await workbench.coloured((found) => has(found, "great", "dreadful")));
    await line("Then it turns").click();
    await workbench.page.keyboard.press("Home");
    await workbench.page.keyboard.press("Shift+End");
    await workbench.selected(/selected/);
    await workbench.run("LFP Lens: Read Selection");
    const some = wordsOf(await workbench.coloured((found) => has(found, "dreadful") && !has(found, "great")));
    expect(some.length).toBeLessThan(all.length);
    await workbench.statusSays(/selection/);
    await workbench.screenshot("selection");
    await workbench.run("LFP Lens: Read the Whole Document Again");
    await workbench.coloured((found) => has(found, "great", "dreadful"));
    await workbench.statusSays(/reward · mean/);
  });

  it.each([
    ["Light Modern", "vs"],
    ["Dark High Contrast", "hc-black"],
    ["Dark Modern", "vs-dark"],
  ] as const)("numbers above records can be read in the theme %s", async (theme, kind) => {
    await workbench.openFile("reviews.csv");
    await workbench.run("LFP Lens: Show Numbers in the Text…");
    await workbench.pick(
      kind === "vs" ? "The mean of each paragraph or record, above it" : "The mean of each line, at its end",
    );
    await workbench.chooseTheme(theme, kind);
    await workbench.coloured((found) => has(found, "great"));
    await workbench.screenshot(`numbers ${theme}`);
  });
});
