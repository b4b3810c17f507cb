/** VS Code's window as a person uses it. Everything waits for what it needs to see, never for a time. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FrameLocator, Locator, Page } from "playwright-core";

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
    await this.page.locator(".monaco-workbench .part.statusbar .statusbar-item").first().waitFor();
    await this.page.locator(".monaco-workbench .part.editor").waitFor();
  }

  async run(command: string): Promise<void> {
    await this.#quickOpen({ key: "F1", text: `>${command}`, label: command });
  }

  async openFile(name: string): Promise<void> {
    await this.#quickOpen({ key: "Control+P", text: name, label: name });
    await this.tabShown(name);
    await this.editor.locator(".view-line").first().waitFor();
  }

  /**
   * Opens the quick pick and chooses an entry. Opens it anew until the entry is there: what VS Code lists while its extensions are still registering
   * (it waits 800 ms for them) lacks their commands, and the list is not made again while it is open.
   */
  async #quickOpen({ key, text, label }: { key: string; text: string; label: string }): Promise<void> {
    for (;;) {
      await this.page.keyboard.press(key);
      await this.search(text);
      if (await comes(this.#entry(label))) break;
      // A test's own limit ends this.
      await this.page.keyboard.press("Escape");
      await this.quickPick.waitFor({ state: "hidden" });
    }
    await this.pick(label);
  }

  #entry(label: string): Locator {
    return this.quickPick
      .locator(".monaco-list-row")
      .filter({ has: this.page.getByText(label, { exact: true }) })
      .first();
  }

  /**
   * Chooses an entry of a place's context menu. By keyboard: VS Code takes no click for the first moment that a menu is open, so that the one that opened
   * it chooses nothing.
   */
  async chooseFromMenu(place: Locator, label: string): Promise<void> {
    await place.click({ button: "right" });
    const entry = this.page
      .locator(".monaco-menu .action-item")
      .filter({ has: this.page.getByText(label, { exact: true }) });
    await entry.waitFor();
    while (!(await entry.evaluate((item) => item.classList.contains("focused"))))
      await this.page.keyboard.press("ArrowDown");
    await this.page.keyboard.press("Enter");
    await entry.waitFor({ state: "hidden" });
  }

  /** Types into the quick pick that is open, in the place of what stands there. */
  async search(text: string): Promise<void> {
    const input = this.quickPick.locator("input.input");
    await input.waitFor();
    await input.fill(text);
  }

  /**
   * Chooses the entry with this label, and no other that has it within its own, from the quick pick that is open. By keyboard, because the list is
   * drawn anew as it is filtered and a click may fall on what stood elsewhere before.
   */
  async pick(label: string): Promise<void> {
    const row = this.#entry(label);
    await row.waitFor();
    // A test's own limit ends this.
    while (!(await row.evaluate((element) => element.classList.contains("focused")))) {
      await this.page.keyboard.press("ArrowDown");
      await row.waitFor();
    }
    await this.page.keyboard.press("Enter");
  }

  /** Names a folder in the dialog that asks for one; `title` is in its title, and `button` takes the folder. */
  async chooseFolder(path: string, title: string, button: string | RegExp = /^Choose as /): Promise<void> {
    const dialog = this.quickPick.filter({ hasText: title });
    await dialog.locator(".monaco-list-row", { hasText: ".." }).waitFor();
    const rows = dialog.locator(".monaco-list-row");
    const input = dialog.locator("input.input");
    // A dialog that is still looking into its first folder puts that folder's path back. A test's own limit ends this.
    do {
      await input.fill(`${path}/`);
      await this.page.waitForFunction(() => true);
    } while ((await input.inputValue()) !== `${path}/` || (await rows.count()) !== 1);
    await dialog.getByRole("button", { name: button }).click();
    await dialog.waitFor({ state: "hidden" });
  }

  /**
   * Chooses a colour theme and waits until the window has it and the choice is over. Opens the list of themes anew until the theme is there: while it
   * opens, the list of commands may still be in its place and take what is typed.
   */
  async chooseTheme(theme: string, kind: "vs" | "vs-dark" | "hc-black" | "hc-light"): Promise<void> {
    for (;;) {
      await this.run("Preferences: Color Theme");
      await this.search(theme);
      if (await comes(this.#entry(theme))) break;
      // A test's own limit ends this.
      await this.page.keyboard.press("Escape");
      await this.quickPick.waitFor({ state: "hidden" });
    }
    await this.pick(theme);
    await this.quickPick.waitFor({ state: "hidden" });
    await this.page.locator(`.monaco-workbench.${kind}`).waitFor();
  }

  /** Waits until the tab in front is called so. */
  async tabShown(name: string | RegExp): Promise<void> {
    await this.page.locator(".editor-group-container.active .tab.active").filter({ hasText: name }).waitFor();
  }

  /** The page in the tab in front, once that is called so: until then another one's page may be in its place. */
  async webview(title: string | RegExp): Promise<FrameLocator> {
    await this.tabShown(title);
    return this.onlyWebview();
  }

  /** The one page that is in sight: in the tab in front, or in a view of the side bar. */
  onlyWebview(): FrameLocator {
    return this.page.locator("iframe.webview.ready:visible").contentFrame().locator("#active-frame").contentFrame();
  }

  /** Brings up our side bar. */
  async openSideBar(): Promise<void> {
    const tab = this.page.locator(".activitybar").getByRole("tab", { name: "LFP Lens" });
    if ((await tab.getAttribute("aria-selected")) !== "true") await tab.click();
    await this.pane("Runs").waitFor();
  }

  /** A view of the side bar. */
  pane(name: "Reading" | "Runs" | "Features" | "Ablation Set"): Locator {
    return this.page.locator(".pane").filter({ has: this.page.locator(".pane-header .title", { hasText: name }) });
  }

  /** Waits until the output in the panel says something. */
  async outputSays(text: string | RegExp): Promise<void> {
    await this.page.locator(".panel .output-view .view-line").filter({ hasText: text }).first().waitFor();
  }

  /** Takes an action that is offered at the cursor. A click elsewhere may take the keyboard away again when it is already in the editor. */
  async quickFix(label: string): Promise<void> {
    const row = this.page.locator(".action-widget .monaco-list-row", { hasText: label }).first();
    do {
      await this.focusEditor();
      await this.page.keyboard.press("Control+.");
    } while (!(await comes(row)));
    await row.click();
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
    await item.waitFor();
    return (await item.textContent()) ?? "";
  }

  /** Points at the status bar's item until its hover says something; a hover goes when what the item says changes. */
  async statusExplains(text: string): Promise<void> {
    const wanted = this.hover.filter({ hasText: text });
    for (;;) {
      await this.status.hover();
      if (await comes(wanted)) return;
      // A test's own limit ends this.
      await this.editor.hover();
    }
  }

  /** The words of an editor that have a colour of ours. */
  async colouredWords(editor: Locator = this.editor): Promise<ColouredWord[]> {
    const [words, boxes] = await Promise.all([editor.evaluate(placeWords), editor.evaluate(placeBoxes)]);
    return words.flatMap(({ word, x, y }) => {
      const box = boxes.find(({ rect }) => rect.left <= x && x <= rect.right && rect.top <= y && y <= rect.bottom);
      return box === undefined ? [] : [{ word, background: box.background, line: box.line }];
    });
  }

  /** Waits until the coloured words are as wanted, and gives them. */
  async coloured(
    isWanted: (words: readonly ColouredWord[]) => boolean,
    editor: Locator = this.editor,
  ): Promise<ColouredWord[]> {
    for (;;) {
      const words = await this.colouredWords(editor);
      if (isWanted(words)) return words;
      // Looks again when the editor has drawn something else; a test's own limit ends this.
      await editor.evaluate(untilDrawn);
    }
  }

  /** Points at a word of the active editor until its hover says something; a hover goes when what lies behind it is drawn anew. */
  async hoverOver(word: string, text: string | RegExp): Promise<Locator> {
    const wanted = this.page.locator(".monaco-hover:not(.hidden)").filter({ hasText: text }).first();
    for (;;) {
      await this.pointAt(word);
      if (await comes(wanted)) return wanted;
      // A test's own limit ends this.
      await this.page.mouse.move(0, 0);
    }
  }

  /** Puts the mouse on a word of the active editor. */
  async pointAt(word: string): Promise<void> {
    const box = (await this.editor.evaluate(placeWords)).find((placed) => placed.word === word);
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
    await this.focusEditor();
    await this.page.keyboard.press("Control+End");
    await this.page.keyboard.type(text);
  }

  /** Gives the active editor the keyboard and leaves its cursor where it is, which a click would not. */
  async focusEditor(): Promise<void> {
    await this.editor.locator(".native-edit-context, textarea.inputarea").first().focus();
  }

  /** How long the extension's activation took, its code's loading included, as VS Code itself shows it. */
  async activationMs(): Promise<number> {
    await this.run("Developer: Show Running Extensions");
    const row = this.page.locator(".runtime-extensions-editor .monaco-list-row").filter({ hasText: "LFP Lens" });
    const shown = row.locator(".activation-time").filter({ hasText: /\d+ms/ });
    await shown.waitFor();
    const text = await shown.textContent();
    // It lies over all else.
    await this.page.keyboard.press("Escape");
    await row.waitFor({ state: "detached" });
    return Number(/(\d+)ms/.exec(text ?? "")?.[1]);
  }

  /** Waits until so much is selected in the active editor. */
  async selected(characters: number | RegExp): Promise<void> {
    const text = typeof characters === "number" ? `(${characters} selected)` : characters;
    await this.page.locator('[id="status.editor.selection"]').filter({ hasText: text }).waitFor();
  }

  async deleteBack(text: string): Promise<void> {
    await this.typeAtEnd("");
    for (const _ of text) await this.page.keyboard.press("Backspace");
  }

  async screenshot(name: string): Promise<void> {
    await mkdir(artifacts, { recursive: true });
    await this.page.screenshot({ path: join(artifacts, `${name}.png`) });
  }
}

/** Whether something is shown within a while. */
async function comes(wanted: Locator): Promise<boolean> {
  return await wanted.waitFor({ timeout: 3000 }).then(
    () => true,
    () => false,
  );
}

interface PlacedWord {
  readonly word: string;
  readonly x: number;
  readonly y: number;
}

/** Runs in the page, and so stands on its own: the words of an editor in the text's order, with their middles on the screen. */
function placeWords(editor: Element): PlacedWord[] {
  const found: PlacedWord[] = [];
  for (const line of editor.querySelectorAll(".view-lines .view-line")) {
    // VS Code cuts long stretches of text into several nodes, within a word if need be.
    const ends: { readonly node: Node; readonly at: number }[] = [];
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode())
      for (let at = 0; at < (node.textContent ?? "").length; at++) ends.push({ node, at });
    for (const { 0: word, index } of (line.textContent ?? "").matchAll(/[\p{L}\p{N}\p{M}’'-]+/gu)) {
      const [first, last] = [ends[index], ends[index + word.length - 1]];
      if (first === undefined || last === undefined) continue;
      const range = document.createRange();
      range.setStart(first.node, first.at);
      range.setEnd(last.node, last.at + 1);
      const { left, right, top, bottom } = range.getBoundingClientRect();
      found.push({ word, x: (left + right) / 2, y: (top + bottom) / 2 });
    }
  }
  return found.sort((one, other) => one.y - other.y || one.x - other.x);
}

/** Runs in the page: the boxes that decorations of ours draw over the lines. */
function placeBoxes(editor: Element): (Omit<ColouredWord, "word"> & { readonly rect: DOMRect })[] {
  return [...editor.querySelectorAll(".view-overlays .cdr")]
    .filter((element) => /TextEditorDecorationType/.test(element.className))
    .map((element) => {
      const style = getComputedStyle(element);
      const line = style.borderBottomWidth === "0px" ? "" : `${style.borderBottomWidth} ${style.borderBottomStyle}`;
      return { rect: element.getBoundingClientRect(), background: style.backgroundColor, line };
    });
}

/** Runs in the page: waits for the next change of what an editor draws, or for a moment, should it have come before. */
function untilDrawn(editor: Element): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 250);
    const observer = new MutationObserver(() => {
      observer.disconnect();
      clearTimeout(timer);
      resolve();
    });
    observer.observe(editor, { childList: true, subtree: true, attributes: true, characterData: true });
  });
}
