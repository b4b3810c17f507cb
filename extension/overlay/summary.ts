/** Summaries of the active editor's document, for the status bar and the side bar. */
import * as vscode from "vscode";
import type { ReadPassage } from "../../server/protocol/lens.ts";
import type { ReadPairRecord } from "../../server/protocol/pairs.ts";
import type { Extension } from "../context.ts";
import { isReadable } from "../documents.ts";
import { isObsolete, messageOf } from "../server-failure.ts";
import { readSetting } from "../settings.ts";
import { meanOver } from "./means.ts";
import type { Overlay } from "./overlay.ts";
import { type Strongest, StrongestCache } from "./strongest.ts";

/** Maximum length of a text that is read whole unasked, in UTF-16 units. */
const READ_WHOLE_CHARACTERS = 30_000;

/** The facts about a document that status bar and side bar show. */
export interface Summary {
  readonly document: vscode.TextDocument;
  readonly isReading: boolean;
  readonly failure: string | undefined;
  readonly limit: number | undefined;
  /** Why passages could not be read. */
  readonly unread: readonly string[];
  readonly mean: number | null;
  /** The passages read so far, in document order. */
  readonly passages: readonly ReadPassage[];
  /** The preferences among the records read so far. */
  readonly pairs: readonly ReadPairRecord[];
  /** Whether mean and list cover the whole document, or only what was read around the visible part. */
  readonly isWhole: boolean;
  readonly strongest: Strongest | undefined;
}

/** The summary of the document in the active editor. */
export class Summaries implements vscode.Disposable {
  readonly #extension: Extension;
  readonly #overlay: Overlay;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #subscriptions: vscode.Disposable[];
  readonly strongest: StrongestCache;
  #asking: vscode.CancellationTokenSource | undefined;

  readonly onDidChange = this.#changed.event;

  constructor(extension: Extension, overlay: Overlay) {
    this.#extension = extension;
    this.#overlay = overlay;
    this.strongest = new StrongestCache(extension.server, (document) => extension.selected.of(document));
    this.#subscriptions = [
      overlay.onDidChange((document) => {
        if (document === undefined) this.strongest.clear();
        if (document === undefined || document === vscode.window.activeTextEditor?.document) this.#update();
      }),
      vscode.window.onDidChangeActiveTextEditor(() => this.#update()),
    ];
  }

  /** The current summary; undefined if the overlay is off or the active editor shows no readable document. */
  get current(): Summary | undefined {
    const document = vscode.window.activeTextEditor?.document;
    const { view } = this.#overlay;
    if (document === undefined || view === undefined || !isReadable(document)) return undefined;
    const known = this.#overlay.of(document);
    const strongest = this.strongest.known(document, view);
    const reading = known?.current;
    const fades = readSetting("fadeUnfamiliar");
    return {
      document,
      isReading: known?.isReading ?? false,
      failure: known?.failure,
      limit: reading?.limit,
      unread: reading?.unread ?? [],
      passages: reading?.passages ?? [],
      pairs: reading?.pairs ?? [],
      mean: strongest === undefined ? meanOver(reading?.passages ?? [], fades).mean : strongest.mean,
      isWhole: strongest?.complete ?? false,
      strongest,
    };
  }

  dispose(): void {
    this.#asking?.cancel();
    for (const part of this.#subscriptions) part.dispose();
    this.#changed.dispose();
  }

  #update(): void {
    this.#changed.fire();
    const now = this.current;
    const { view } = this.#overlay;
    const isDue = now !== undefined && !now.isReading && now.limit !== undefined && now.strongest === undefined;
    if (!isDue || view === undefined || lengthOf(now.document) > READ_WHOLE_CHARACTERS) return;
    this.#asking?.cancel();
    const asking = new vscode.CancellationTokenSource();
    this.#asking = asking;
    this.strongest
      .ask(now.document, view, asking.token)
      .then(() => this.#changed.fire())
      .catch((error: unknown) => {
        if (!isObsolete(error)) this.#extension.log.warn(messageOf(error));
      });
  }
}

/** Whether a text is read whole unasked, and so quickly. */
export function isReadWhole(document: vscode.TextDocument): boolean {
  return lengthOf(document) <= READ_WHOLE_CHARACTERS;
}

function lengthOf(document: vscode.TextDocument): number {
  return document.offsetAt(document.lineAt(document.lineCount - 1).range.end);
}
