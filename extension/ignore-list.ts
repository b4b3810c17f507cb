/** Words that a person chose to ignore. Stored in the workspace state, outside its files. */
import * as vscode from "vscode";
import * as z from "zod";
import { IgnoredWord } from "../server/protocol/problems.ts";

const KEY = "lfpLens.ignoredWords";
/** Maximum number of words that the server accepts; the oldest are dropped first. */
const MOST = 10_000;

/** The ignored words of this workspace; `onDidChange` fires after each change. */
export class IgnoreList implements vscode.Disposable {
  readonly #memory: vscode.Memento;
  readonly #changed = new vscode.EventEmitter<void>();

  readonly onDidChange = this.#changed.event;

  constructor(memory: vscode.Memento) {
    this.#memory = memory;
    this.#tellContext();
  }

  get words(): IgnoredWord[] {
    return z.array(IgnoredWord).catch([]).parse(this.#memory.get(KEY, []));
  }

  async add(word: IgnoredWord): Promise<void> {
    await this.#set([...this.words.filter((other) => !isSame(other, word)), word]);
  }

  async remove(words: readonly IgnoredWord[]): Promise<void> {
    await this.#set(this.words.filter((word) => !words.some((gone) => isSame(gone, word))));
  }

  dispose(): void {
    this.#changed.dispose();
  }

  async #set(words: readonly IgnoredWord[]): Promise<void> {
    await this.#memory.update(KEY, words.slice(-MOST));
    this.#tellContext();
    this.#changed.fire();
  }

  #tellContext(): void {
    void vscode.commands.executeCommand("setContext", "lfpLens.nothingIgnored", this.words.length === 0);
  }
}

function isSame(one: IgnoredWord, other: IgnoredWord): boolean {
  return one.uri === other.uri && one.word === other.word && one.passage === other.passage;
}
