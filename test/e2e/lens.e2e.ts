/** A person opens texts and looks at the rewards in them, with the run that came with the extension. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const review = `# Notes on a film

I loved the first half: a great cast, a precious script, and music that is a delight.
Then it turns weak, the jokes are awful, and the ending is dreadful.

Still, it is beautifully shot and marvelous to listen to. A pity about the boring middle.
`;
const record = { id: 7, review: "A great film.\nAn awful ending, though \\u2014 dreadful!" };
const files = {
  "review.md": review,
  "plain.txt": review.replaceAll("\n", "\r\n"),
  "records.jsonl": `${JSON.stringify(record)}\n${JSON.stringify({ ...record, id: 8 })}\n`,
  "long.txt": Array.from(
    { length: 400 },
    (_, line) => `Line ${line} says that this film is great and its ending dreadful.\n`,
  ).join("\n"),
  "program.py": "great = 'awful'\n",
};

describe.skipIf(!inject("ground").ready)("the lens", () => {
  let session: Session;
  let workbench: Workbench;
  const has = (words: readonly ColouredWord[], ...wanted: string[]): boolean =>
    wanted.every((word) => words.some((found) => found.word === word));
  const measured = (what: string, ms: number): void => console.log(`measured: ${what} ${ms.toFixed(0)} ms`);

  beforeAll(async () => {
    session = await Session.start({ files });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("shows nothing until asked, then the words' rewards, solid below for good and dashed for bad ones", async () => {
    await workbench.openFile("review.md");
    expect(await workbench.colouredWords()).toEqual([]);
    const start = performance.now();
    await workbench.run("LFP Lens: Show Implicit Reward");
    const words = await workbench.coloured((found) => has(found, "great", "beautifully"));
    measured("command to first colours, server and model cold", performance.now() - start);
    const great = words.find(({ word }) => word === "great");
    const low = words.find(({ word }) => word === "beautifully");
    expect(great?.line).toMatch(/px solid/);
    expect(low?.line).toMatch(/px dashed/);
    expect(great?.background).not.toBe(low?.background);
    await workbench.statusSays(/Implicit reward · mean [+−]?\d\.\d\d/);
  });

  it("explains a word on hover", async () => {
    await workbench.pointAt("great");
    const hover = workbench.hover.filter({ hasText: "implicit reward" });
    await hover.waitFor();
    expect(await hover.textContent()).toMatch(/true reward.*How to read this/s);
    await workbench.screenshot("hover-dark");
    await workbench.page.keyboard.press("Escape");
  });

  it("changes what the colours mean from the status bar", async () => {
    const before = await workbench.colouredWords();
    await workbench.status.click();
    await workbench.pick("True reward");
    await workbench.statusSays("True reward");
    await workbench.coloured(
      (words) => JSON.stringify(words) !== JSON.stringify(before) && has(words, "great", "awful"),
    );
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
});
