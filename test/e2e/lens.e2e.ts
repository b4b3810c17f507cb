/** A person opens texts and looks at the rewards in them, with the run that came with the extension. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { measured } from "./support/measured.ts";
import { Session } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const review = `# Notes on a film

I loved the first half: a great cast, a precious script, and music that is a delight.
Then it turns weak, the jokes are awful, and the ending is dreadful.

Still, it is beautifully shot and marvelous to listen to. A pity about the boring middle.
`;
const record = { id: 7, review: "A great film 🎬.\nAn awful ending, though — dreadful!" };
const sentence = "says that this film is great and its ending dreadful.";
const files = {
  "review.md": review,
  "windows.txt": review.replaceAll("\n", "\r\n"),
  "records.jsonl": [record, { ...record, id: 8 }]
    .map((one) => `${JSON.stringify(one).replaceAll("—", "\\u2014")}\n`)
    .join(""),
  "book.txt": `${Array.from({ length: 70_000 }, (_, line) => `Line ${line} ${sentence}\n`).join("\n")}\nAt last, wonderful!\n`,
  "wide.txt": `${"This film is great and its ending dreadful. ".repeat(2280)}\n`,
  "program.py": "great = 'awful'\n",
};

describe.skipIf(!inject("ground").ready)("the lens", () => {
  let session: Session;
  let workbench: Workbench;
  const has = (words: readonly ColouredWord[], ...wanted: string[]): boolean =>
    wanted.every((word) => words.some((found) => found.word === word));
  /** Whether it is coloured for a strong negative value; a faded one has the line alone. */
  const isLow = ({ line, background }: ColouredWord): boolean =>
    /px dashed/.test(line) && background !== "rgba(0, 0, 0, 0)";
  /** Where a word stands among the coloured ones; what is not coloured stands after all of them. */
  const places = (words: readonly ColouredWord[], wanted: string): { first: number; last: number } => {
    const first = words.findIndex(({ word }) => word === wanted);
    return { first: first < 0 ? words.length : first, last: words.findLastIndex(({ word }) => word === wanted) };
  };
  const looks = (words: readonly ColouredWord[]): string =>
    words.map(({ word, background, line }) => `${word} ${background} ${line}`).join("\n");

  beforeAll(async () => {
    session = await Session.start({ files });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("shows nothing until asked, then the words' rewards, solid below for good and dashed for bad ones", async () => {
    await workbench.openFile("review.md");
    expect(await workbench.colouredWords()).toEqual([]);
    const opensPalette = performance.now();
    await workbench.run("LFP Lens: Show Learned Reward");
    const start = performance.now();
    const words = await workbench.coloured((found) => has(found, "great") && found.some(isLow));
    measured("command to first colours, server and model cold", performance.now() - start);
    measured("the same from the key that opens the command palette", performance.now() - opensPalette);
    const great = words.find(({ word }) => word === "great");
    const low = words.find(isLow);
    expect(great?.line).toMatch(/px solid/);
    expect(great?.background).not.toBe(low?.background);
    await workbench.statusSays(/Learned reward · mean [+−]?\d\.\d\d nats/);
    const { text } = await session.logged("extension", "The analysis server answered");
    measured("start of the server's process to its first answer", Number(/\d+/.exec(text)?.[0]));
    const { text: times } = await session.logged("extension", "Activated in");
    const [, activation, loading] = /Activated in (\d+) ms, loaded in (\d+) ms/.exec(times) ?? [];
    measured("activation's own work", Number(activation));
    measured("loading's own work before it", Number(loading));
    measured("both, with what else VS Code did meanwhile, as it shows it", await workbench.activationMs());
  });

  it("explains a word on hover", async () => {
    const hover = await workbench.hoverOver("great", "implicit reward");
    expect(await hover.textContent()).toMatch(/true reward.*How to read this/s);
    await workbench.screenshot("hover-dark");
    await workbench.page.keyboard.press("Escape");
  });

  it("is gone through by keyboard alone: the strongest tokens, and from one to the next", async () => {
    await workbench.run("LFP Lens: List Strongest Words…");
    const row = workbench.quickPick.locator(".monaco-list-row.focused", { hasText: /[+−]\d\.\d\d nats, line \d/ });
    await row.waitFor();
    const first = await row.textContent();
    await workbench.page.keyboard.press("ArrowDown");
    const second = row.filter({ hasNotText: first ?? "" });
    const word = (await second.locator(".label-name").first().textContent())?.trim() ?? "";
    await workbench.selected(word.length);
    await workbench.screenshot("strongest-tokens");
    await workbench.page.keyboard.press("Enter");
    await workbench.quickPick.waitFor({ state: "hidden" });
    await workbench.selected(word.length);
    await workbench.page.keyboard.press("Control+Home");
    await workbench.page.keyboard.press("Alt+F9");
    await workbench.page.locator(".monaco-hover:not(.hidden)", { hasText: "implicit reward" }).first().waitFor();
    await workbench.page.keyboard.press("Escape");
  });

  it("has a view with the scale and the strongest tokens, which lead to their place", async () => {
    await workbench.openSideBar();
    const view = workbench.pane("Reading");
    await view.locator(".pane-header", { hasText: /Learned reward · mean/ }).waitFor();
    const rows = view.locator(".monaco-list-row");
    const token = rows.filter({ hasText: /[+−]\d\.\d\d nats, line \d/ }).first();
    const [, word = ""] = /^(.+?)[+−]\d\.\d\d nats, line/.exec((await token.textContent()) ?? "") ?? [];
    await token.click();
    await workbench.selected(word.trim().length);
    const scale = view.locator('.monaco-list-row[aria-label^="Scale"]');
    await scale.click();
    await view.locator('.monaco-list-row[aria-expanded="true"][aria-label^="Scale"]').waitFor();
    await rows.filter({ hasText: "thick solid line" }).waitFor();
    await workbench.screenshot("reading-view");
    await workbench.run("View: Show Explorer");
  });

  it("changes what the colours mean from the status bar", async () => {
    const before = await workbench.colouredWords();
    await workbench.status.click();
    await workbench.pick("True reward");
    await workbench.statusSays("True reward");
    await workbench.coloured((words) => looks(words) !== looks(before) && has(words, "great", "awful"));
  });

  it("reads an edited word anew, and an edit over lines never leaves old colours", async () => {
    await workbench.typeAtEnd("wonderfu");
    await workbench.page.keyboard.type("l");
    const start = performance.now();
    await workbench.coloured((words) => has(words, "wonderful"));
    measured("last key to colours of the new word", performance.now() - start);
    await workbench.page.keyboard.press("Control+A");
    await workbench.page.keyboard.press("Delete");
    expect(await workbench.colouredWords()).toEqual([]);
    await workbench.page.keyboard.press("Control+Z");
    await workbench.coloured((words) => has(words, "great", "wonderful"));
  });

  it("is right in both halves of a split editor, after revert, and after closing and opening again", async () => {
    await workbench.run("View: Split Editor Right");
    const halves = [workbench.editorInGroup(0), workbench.editorInGroup(1)];
    for (const half of halves) await workbench.coloured((found) => has(found, "great", "awful"), half);
    await workbench.run("File: Revert File");
    for (const half of halves) {
      await half.locator(".view-line", { hasText: "wonderful" }).waitFor({ state: "detached" });
      await workbench.coloured((found) => has(found, "great", "awful"), half);
    }
    await workbench.run("View: Close All Editor Groups");
    await workbench.openFile("review.md");
    await workbench.coloured((found) => has(found, "great", "awful"));
  });

  it("colours a text with CRLF as the same one with LF", async () => {
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.statusSays(/Learned reward · mean/);
    const shown = async (name: string, lineEnd: string): Promise<string> => {
      await workbench.openFile(name);
      await workbench.page.locator('[id="status.editor.eol"]').getByText(lineEnd, { exact: true }).waitFor();
      return looks(await workbench.coloured((words) => has(words, "great", "beautifully")));
    };
    // VS Code draws one kind of decoration after the other, so the first look may see a part. The test's own limit ends this.
    while ((await shown("review.md", "LF")) !== (await shown("windows.txt", "CRLF")));
  });

  it("colours the texts of records and not their keys, untitled documents, and leaves code alone", async () => {
    await workbench.openFile("records.jsonl");
    const words = await workbench.coloured((found) => found.filter(({ word }) => word === "great").length === 2);
    expect(words.filter(({ word }) => word === "id" || word === "review")).toEqual([]);
    await workbench.screenshot("records");

    await workbench.run("File: New Untitled Text File");
    await workbench.tabShown("Untitled-1");
    await workbench.typeAtEnd("A great film with a dreadful end.");
    await workbench.coloured((found) => has(found, "great"));
    await workbench.run("View: Revert and Close Editor");

    await workbench.openFile("program.py");
    await workbench.statusSays("not read");
    expect(await workbench.colouredWords()).toEqual([]);
  });

  it("colours what is seen of a text of 5 MB first, and at once where one goes and types", async () => {
    const opening = performance.now();
    await workbench.openFile("book.txt");
    await workbench.coloured((words) => has(words, "great"));
    measured("opening a text of 5 MB to colours of what is seen", performance.now() - opening);
    await workbench.statusExplains("over the part that was read");
    await workbench.focusEditor();
    const going = performance.now();
    await workbench.page.keyboard.press("Control+End");
    await workbench.coloured((words) => has(words, "great", "wonderful"));
    measured("going to its end to colours there", performance.now() - going);
    await workbench.page.keyboard.press("Enter");
    await workbench.page.keyboard.type("This film is great an");
    await workbench.page.keyboard.type("d");
    const typing = performance.now();
    await workbench.coloured((words) => places(words, "great").last > places(words, "wonderful").first);
    measured("last key there to colours of the new words", performance.now() - typing);
  });

  it("colours a line of 100,000 characters, and what one types at its start", async () => {
    const opening = performance.now();
    await workbench.openFile("wide.txt");
    await workbench.coloured((words) => has(words, "great"));
    measured("opening a line of 100,000 characters to colours", performance.now() - opening);
    await workbench.focusEditor();
    await workbench.page.keyboard.press("Control+Home");
    await workbench.page.keyboard.type("A great film. ");
    const typing = performance.now();
    await workbench.coloured(
      (words) => has(words, "great") && places(words, "great").first < places(words, "film").first,
    );
    measured("last key at its start to colours of the new words", performance.now() - typing);
    await workbench.screenshot("long-line");
  });
});
