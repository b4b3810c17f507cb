/** What a person meets who uses the extension daily: other languages, ablation sets of several runs, runs that come and go. */

import type { Locator } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { Session } from "./support/session.ts";
import type { ColouredWord, Workbench } from "./support/workbench.ts";

const sentence = "I loved the first half: a great cast, and the ending is dreadful.";
const files = {
  "page.html": `<p>${sentence}</p>\n`,
  "paper.tex": `\\section{Films}\n${sentence} See \\cite{great2020} and $great$.\n`,
  "review.txt": `${sentence}\n`,
};

describe.skipIf(!inject("ground").ready)("the second round", () => {
  let session: Session;
  let workbench: Workbench;
  const has = (words: readonly ColouredWord[], wanted: string): boolean => words.some(({ word }) => word === wanted);

  /** A button of the title of the editor in front. */
  const action = (label: string): Locator =>
    workbench.page.locator(`.editor-group-container.active .editor-actions [aria-label*="${label}"]`).first();

  beforeAll(async () => {
    session = await Session.start({ files });
    workbench = await session.open();
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it("offers a sample text where none is open, and never says that there is no run", async () => {
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.notifications.getByText("Open a Sample Text").click();
    await workbench.coloured((words) => has(words, "great"));
    await workbench.statusSays(/mean/);
  });

  it("offers to read a file of another language, and reads it as it is edited", async () => {
    await workbench.openFile("page.html");
    await workbench.statusSays("not read");
    await workbench.status.click();
    await workbench.screenshot("unread language");
    await workbench.notifications.getByText("Read This HTML File Anyway").click();
    await workbench.coloured((words) => has(words, "great"));
    await workbench.typeAtEnd(" It is wonderful.");
    await workbench.coloured((words) => has(words, "wonderful"));
  });

  it("hides and shows the colours from the editor's title", async () => {
    await workbench.openFile("paper.tex");
    await workbench.coloured((words) => has(words, "great"));
    await action("Hide the Colours").click();
    await workbench.coloured((words) => words.length === 0);
    await action("Show Learned Reward").click();
    const words = await workbench.coloured((found) => has(found, "great"));
    expect(words.filter(({ word }) => word === "section" || word === "great2020")).toEqual([]);
    await workbench.screenshot("latex");
  });
});
