/**
 * The colours over the text: which documents are read, for which view, and what each editor shows. Off until a person
 * switches it on. Readings belong to documents and editors only show them, so that split editors agree, and a text that
 * is opened again is simply read again.
 */
import * as vscode from "vscode";
import type { LensMode } from "../../server/protocol/lens.ts";
import { ProblemsWanted } from "../../server/protocol/problems.ts";
import type { AblationChoice } from "../ablation/choice.ts";
import type { Extension } from "../context.ts";
import { isReadable, onDidChangeReadable } from "../documents.ts";
import { differenceIn } from "../looked-through.ts";
import { readSetting } from "../settings.ts";
import type { Interval } from "./colour-stretches.ts";
import { DocumentReader, type View } from "./document-reader.ts";
import { EditorColours } from "./editor-colours.ts";
import { type ModeChoice, modeShown } from "./modes.ts";
import { createPalette } from "./palette.ts";

/** Number of characters that VS Code draws of a line (`editor.stopRenderingLineAfter`). */
const DRAWN_OF_LINE = 10_000;
/** Minimum number of lines beyond the visible ones to read and colour in advance of scrolling. */
const LEAST_MARGIN_LINES = 30;
const SCROLL_MS = 50;

/**
 * The colours of all visible editors in one mode: which documents are read, and what each editor shows of the readings.
 */
export class Overlay implements vscode.Disposable {
  readonly #extension: Extension;
  readonly #ablation: AblationChoice;
  readonly #palette = createPalette();
  readonly #changed = new vscode.EventEmitter<vscode.TextDocument | undefined>();
  readonly #readers = new Map<vscode.TextDocument, DocumentReader>();
  readonly #colours = new WeakMap<vscode.TextEditor, EditorColours>();
  readonly #subscriptions: vscode.Disposable[];
  #choice: ModeChoice | undefined;
  #scrollTimer: NodeJS.Timeout | undefined;

  /** Fires with the document whose readings changed; with undefined if the view changed. */
  readonly onDidChange = this.#changed.event;

  constructor(extension: Extension, ablation: AblationChoice) {
    this.#extension = extension;
    this.#ablation = ablation;
    this.#subscriptions = [
      vscode.window.onDidChangeVisibleTextEditors(() => this.#look()),
      vscode.window.onDidChangeTextEditorVisibleRanges(() => this.#scrolled()),
      vscode.workspace.onDidChangeTextDocument((change) => this.#edited(change)),
      vscode.workspace.onDidCloseTextDocument((document) => this.#drop(document)),
      extension.onDidChangeLens((state) => {
        // On a failure too: otherwise the previous target's colours would stay beside the message.
        if (state.kind === "ready" || state.kind === "failed") this.#restart();
        this.#tellContext();
      }),
      // After a restart the server's cache is empty; while it is down the colours may be stale. So re-read or clear.
      extension.server.onDidChangeState(({ kind }) => {
        if (kind === "running" || kind === "down") this.#restart();
      }),
      ablation.onDidChange(() => this.#restart()),
      extension.selected.onDidChange((document) => this.#reread(document)),
      onDidChangeReadable(() => this.#readableChanged()),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (
          ["fadeUnfamiliar", "reading", "overlay.unit", "csvColumns"].some((name) =>
            change.affectsConfiguration(`lfpLens.${name}`),
          )
        )
          this.#restart();
      }),
    ];
  }

  /** The mode that a person chose; undefined: off. */
  get choice(): ModeChoice | undefined {
    return this.#choice;
  }

  /**
   * The mode that is shown: the chosen one, or the reading with the most power if the lens's target does not offer
   * that.
   */
  get mode(): LensMode | undefined {
    const { lens } = this.#extension;
    return this.#choice === undefined
      ? undefined
      : modeShown(this.#choice, lens, readSetting("reading"), this.#ablation.acting !== null);
  }

  /** What the overlay shows. An ablation set is part of it only where it belongs to the lens's run. */
  get view(): View | undefined {
    const { mode } = this;
    if (mode === undefined) return undefined;
    return { mode, unit: readSetting("overlay.unit"), ablation: this.#ablation.acting };
  }

  /** The reader of a document, while the overlay is on. */
  of(document: vscode.TextDocument): DocumentReader | undefined {
    return this.#readers.get(document);
  }

  show(choice: ModeChoice): void {
    this.#choice = choice;
    this.#tellContext();
    this.#look();
    this.#restart();
  }

  hide(): void {
    this.#choice = undefined;
    this.#tellContext();
    for (const document of [...this.#readers.keys()]) this.#drop(document);
    for (const editor of vscode.window.visibleTextEditors) this.#coloursOf(editor).clear();
    this.#changed.fire(undefined);
  }

  dispose(): void {
    clearTimeout(this.#scrollTimer);
    for (const part of this.#subscriptions) part.dispose();
    for (const reader of this.#readers.values()) reader.dispose();
    for (const kind of this.#palette.values()) kind.dispose();
    this.#changed.dispose();
  }

  /** Colours every editor at once by what has been read, and reads what has come into sight. */
  #look(): void {
    const { view } = this;
    if (view === undefined) return;
    for (const editor of vscode.window.visibleTextEditors) {
      if (!isReadable(editor.document)) continue;
      const known = this.#readers.get(editor.document) ?? this.#take(editor.document, view);
      this.#draw(editor, known);
      known.read();
    }
  }

  #take(document: vscode.TextDocument, view: View): DocumentReader {
    const reader = new DocumentReader(
      {
        document,
        server: this.#extension.server,
        maxTokens: () => readSetting("overlay.maxTokens"),
        wanted: () => wantedOf(document),
        parts: () => this.#extension.selected.of(document),
        onChange: (changed) => this.#read(changed),
      },
      view,
    );
    this.#readers.set(document, reader);
    this.#wantProblems(document, true);
    return reader;
  }

  #readableChanged(): void {
    for (const document of [...this.#readers.keys()].filter((one) => !isReadable(one))) {
      for (const editor of editorsOf(document)) this.#coloursOf(editor).clear();
      this.#drop(document);
    }
    this.#look();
    this.#changed.fire(undefined);
  }

  #drop(document: vscode.TextDocument): void {
    const reader = this.#readers.get(document);
    if (reader === undefined) return;
    reader.dispose();
    this.#readers.delete(document);
    this.#wantProblems(document, false);
    this.#changed.fire(document);
  }

  #restart(): void {
    const { view } = this;
    if (view === undefined) return;
    for (const [document, reader] of this.#readers) {
      this.#wantProblems(document, true);
      reader.restart(view);
    }
    this.#changed.fire(undefined);
  }

  /** Reads a document anew of which other parts count than before. */
  #reread(document: vscode.TextDocument): void {
    const { view } = this;
    const reader = this.#readers.get(document);
    if (view === undefined || reader === undefined) return;
    for (const editor of editorsOf(document)) this.#coloursOf(editor).clear();
    reader.restart(view);
  }

  #read(reader: DocumentReader): void {
    for (const editor of editorsOf(reader.document)) this.#draw(editor, reader);
    this.#changed.fire(reader.document);
  }

  #draw(editor: vscode.TextEditor, reader: DocumentReader): void {
    const { current } = reader;
    // While an edit waits to be read, VS Code moves the colours along with the words.
    if (current === undefined && reader.isReading) return;
    this.#coloursOf(editor).show(current, drawnOf(editor));
  }

  #edited({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    const reader = this.#readers.get(document);
    if (reader === undefined || contentChanges.length === 0) return;
    reader.edited(readSetting("overlay.delayMs"));
    const isWithinLine = contentChanges.every(({ range, text }) => range.isSingleLine && !/[\r\n]/.test(text));
    for (const editor of editorsOf(document)) {
      // Ranges that a multi-line edit removes would all collapse at the place of the edit.
      if (isWithinLine) this.#coloursOf(editor).moved();
      else this.#coloursOf(editor).clear();
    }
    this.#changed.fire(document);
  }

  #scrolled(): void {
    if (this.#choice === undefined || this.#scrollTimer !== undefined) return;
    this.#scrollTimer = setTimeout(() => {
      this.#scrollTimer = undefined;
      this.#look();
    }, SCROLL_MS);
  }

  #coloursOf(editor: vscode.TextEditor): EditorColours {
    let colours = this.#colours.get(editor);
    if (colours === undefined) {
      colours = new EditorColours(editor, this.#palette);
      this.#colours.set(editor, colours);
    }
    return colours;
  }

  #wantProblems(document: vscode.TextDocument, wanted: boolean): void {
    const { view } = this;
    const shown = view === undefined ? null : { mode: view.mode, unit: view.unit };
    const sent = this.#extension.server.notify(ProblemsWanted, { uri: document.uri.toString(), wanted, shown });
    sent.catch((error: unknown) => this.#extension.log.error(String(error)));
  }

  #tellContext(): void {
    void vscode.commands.executeCommand("setContext", "lfpLens.overlayOn", this.#choice !== undefined);
    const isDifference = differenceIn(this.#extension.lens) !== undefined;
    void vscode.commands.executeCommand("setContext", "lfpLens.comparesRuns", isDifference);
    void vscode.commands.executeCommand("setContext", "lfpLens.mode", this.mode?.kind ?? "off");
  }
}

function editorsOf(document: vscode.TextDocument): vscode.TextEditor[] {
  return vscode.window.visibleTextEditors.filter((editor) => editor.document === document);
}

/** The parts of a document to read: first the visible ones, then those nearby. */
function wantedOf(document: vscode.TextDocument): Interval[] {
  const editors = editorsOf(document);
  return [
    ...editors.flatMap((editor) => editor.visibleRanges.map((range) => drawnInterval(document, range))),
    ...editors.map(drawnOf),
  ];
}

/** The visible part of an editor, plus about a screen before and after it. */
function drawnOf({ document, visibleRanges }: vscode.TextEditor): Interval {
  const first = Math.min(...visibleRanges.map(({ start }) => start.line), document.lineCount - 1);
  const last = Math.max(...visibleRanges.map(({ end }) => end.line), 0);
  const margin = Math.max(LEAST_MARGIN_LINES, last - first);
  const from = Math.max(0, first - margin);
  const to = Math.min(document.lineCount - 1, last + margin);
  return drawnInterval(document, new vscode.Range(from, 0, to, DRAWN_OF_LINE));
}

function drawnInterval(document: vscode.TextDocument, range: vscode.Range): Interval {
  const last = document.validatePosition(new vscode.Position(range.end.line, DRAWN_OF_LINE));
  return { start: document.offsetAt(new vscode.Position(range.start.line, 0)), end: document.offsetAt(last) };
}
