/** VS Code's window as a person uses it. Everything waits for what it needs to see, never for a time. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Locator, Page } from "playwright-core";

const artifacts = fileURLToPath(new URL("../artifacts/", import.meta.url));

/** A word on the screen with the colours behind and below it, as CSS writes them. */
export interface ColouredWord {
  readonly word: string;
  readonly background: string;
  readonly line: string;
}

export class Workbench {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Opens a folder and waits until its window can be used. */
  static async open(page: Page, hostUrl: string, folder: string): Promise<Workbench> {
    await page.goto(`${hostUrl}/?folder=${encodeURIComponent(folder)}`);
    const workbench = new Workbench(page);
    await workbench.ready();
    return workbench;
  }

  async ready(): Promise<void> {
    await this.page.locator(".monaco-workbench .part.statusbar .statusbar-item").first().waitFor({ timeout: 60_000 });
    await this.page.locator(".monaco-workbench .part.editor").waitFor({ timeout: 60_000 });
  }

  async run(command: string): Promise<void> {
    await this.page.keyboard.press("F1");
    await this.#type(`>${command}`);
    await this.#chooseExactly(command);
  }

  /** Whether the command palette has this command now. */
  async offers(command: string): Promise<boolean> {
    await this.page.keyboard.press("F1");
    await this.#type(`>${command}`);
    const rows = this.page.locator(".quick-input-list .monaco-list-row");
    await rows.first().waitFor();
    const found = await rows.filter({ hasText: command }).count();
    await this.page.keyboard.press("Escape");
    return found > 0;
  }

  async openFile(name: string): Promise<void> {
    await this.page.keyboard.press("Control+P");
    await this.#type(name);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().click();
    await this.page.locator(`.editor-group-container.active .tab.active[data-resource-name="${name}"]`).waitFor();
    await this.editor.locator(".view-line").first().waitFor();
  }

  /** Chooses an entry of the quick pick that is open. */
  async pick(label: string | RegExp): Promise<void> {
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: label }).first().click();
  }

  /** Chooses from the menu of quick fixes. */
  async action(label: string): Promise<void> {
    await this.page.locator(".action-widget .monaco-list-row", { hasText: label }).first().click();
  }

  get quickPick(): Locator {
    return this.page.locator(".quick-input-widget");
  }

  get editor(): Locator {
    return this.page.locator(".editor-group-container.active .editor-instance .monaco-editor").first();
  }

  editorInGroup(index: number): Locator {
    return this.page.locator(".editor-group-container").nth(index).locator(".editor-instance .monaco-editor").first();
  }

  /** Waits until a line with this text is on the screen. */
  async lineShown(text: RegExp): Promise<void> {
    await this.editor.locator(".view-line", { hasText: text }).first().waitFor();
  }

  get status(): Locator {
    return this.page.locator('.statusbar-item[id*="lfpLens.status"]');
  }

  get notifications(): Locator {
    return this.page.locator(".notifications-toasts .notification-toast");
  }

  get hover(): Locator {
    return this.page
      .locator(".monaco-hover:not(.hidden) .hover-contents, .monaco-hover:not(.hidden) .hover-row")
      .first();
  }

  /** Waits until the status bar's item says something. */
  async statusSays(text: string | RegExp): Promise<string> {
    const item = this.status.filter({ hasText: text });
    await item.waitFor({ timeout: 40_000 });
    return (await item.textContent()) ?? "";
  }

  /** The words of an editor that have a colour of ours. */
  async colouredWords(editor: Locator = this.editor): Promise<ColouredWord[]> {
    return await editor.evaluate(wordsWithColours);
  }

  /** Waits until the coloured words are as wanted, and gives them. */
  async coloured(
    isWanted: (words: readonly ColouredWord[]) => boolean,
    editor: Locator = this.editor,
  ): Promise<ColouredWord[]> {
    for (;;) {
      const words = await this.colouredWords(editor);
      if (isWanted(words)) return words;
      // A frame later the editor may have drawn something else; a test's own limit ends this.
      await this.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
    }
  }

  /** Puts the mouse on a word of the active editor. */
  async pointAt(word: string): Promise<void> {
    const box = await this.editor.evaluate(placeOfWord, word);
    if (box === undefined) throw new Error(`"${word}" cannot be seen`);
    await this.page.mouse.move(box.x - 2, box.y - 1);
    await this.page.mouse.move(box.x, box.y, { steps: 4 });
  }

  async clickAt(word: string): Promise<void> {
    await this.pointAt(word);
    await this.page.mouse.down();
    await this.page.mouse.up();
  }

  /** Types at the end of the active editor's text. */
  async typeAtEnd(text: string): Promise<void> {
    await this.editor.locator(".view-lines").click();
    await this.page.keyboard.press("Control+End");
    await this.page.keyboard.type(text);
  }

  async deleteBack(text: string): Promise<void> {
    await this.typeAtEnd("");
    for (const _ of text) await this.page.keyboard.press("Backspace");
  }

  async screenshot(name: string): Promise<void> {
    await mkdir(artifacts, { recursive: true });
    await this.page.screenshot({ path: join(artifacts, `${name}.png`) });
  }

  async #type(text: string): Promise<void> {
    const input = this.quickPick.locator("input.input");
    await input.waitFor();
    await input.fill(text);
  }

  async #chooseExactly(label: string): Promise<void> {
    const row = this.page.locator(".quick-input-list .monaco-list-row", { hasText: label }).first();
    await row.click();
  }
}

/** Runs in the page. A decoration is a box over a line; a word has it when its middle lies in the box. */
function wordsWithColours(editor: Element): ColouredWord[] {
  const boxes = [...editor.querySelectorAll(".view-overlays .cdr")]
    .filter((element) => /TextEditorDecorationType/.test(element.className))
    .map((element) => {
      const style = getComputedStyle(element);
      const line = style.borderBottomWidth === "0px" ? "" : `${style.borderBottomWidth} ${style.borderBottomStyle}`;
      return { rect: element.getBoundingClientRect(), background: style.backgroundColor, line };
    });
  const found: (ColouredWord & { readonly x: number; readonly y: number })[] = [];
  for (const line of editor.querySelectorAll(".view-lines .view-line")) {
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode())
      for (const { 0: word, index } of (node.textContent ?? "").matchAll(/[\p{L}\p{N}\p{M}’'-]+/gu)) {
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        const { left, right, top, bottom } = range.getBoundingClientRect();
        const [x, y] = [(left + right) / 2, (top + bottom) / 2];
        const box = boxes.find(({ rect }) => rect.left <= x && x <= rect.right && rect.top <= y && y <= rect.bottom);
        if (box !== undefined) found.push({ word, background: box.background, line: box.line, x, y });
      }
  }
  // The editor's own order of lines is not that of the text.
  const inOrder = found.sort((one, other) => one.y - other.y || one.x - other.x);
  return inOrder.map(({ word, background, line }) => ({ word, background, line }));
}

/** Runs in the page. */
function placeOfWord(editor: Element, word: string): { readonly x: number; readonly y: number } | undefined {
  for (const line of editor.querySelectorAll(".view-lines .view-line")) {
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const index = (node.textContent ?? "").indexOf(word);
      if (index < 0) continue;
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const { left, right, top, bottom } = range.getBoundingClientRect();
      return { x: (left + right) / 2, y: (top + bottom) / 2 };
    }
  }
  return undefined;
}
