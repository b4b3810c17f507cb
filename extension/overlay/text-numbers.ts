/** Numbers in the text itself, where a person wants them: at line ends, behind words, or above paragraphs and records. */
import * as vscode from "vscode";
import { isolated } from "../../server/protocol/isolated.ts";
import type { Extension } from "../context.ts";
import { documentSelector, rangeOf, wordRangeOf } from "../documents.ts";
import { readSetting, type SettingValue, section } from "../settings.ts";
import type { DocumentTokens } from "./document-reader.ts";
import { unitWords, withUnit } from "./modes.ts";
import { signed } from "./scale.ts";
import { type GroupMean, meansOfWords, numbersIn, strongNumbers } from "./shown-numbers.ts";

type Place = SettingValue<"overlay.numbers">;

const SETTING = "overlay.numbers";

/** Registers the providers of numbers, which show what the setting says. */
export function createTextNumbers(extension: Extension): vscode.Disposable {
  const hintsChanged = new vscode.EventEmitter<void>();
  const lenses = new MeanLenses(extension);
  const configured = vscode.workspace.onDidChangeConfiguration((change) => {
    if (!change.affectsConfiguration(`${section}.${SETTING}`)) return;
    hintsChanged.fire();
    lenses.look(undefined);
  });
  return vscode.Disposable.from(
    hintsChanged,
    lenses,
    configured,
    extension.overlay.onDidChange((document) => {
      hintsChanged.fire();
      lenses.look(document);
    }),
    vscode.languages.registerInlayHintsProvider(documentSelector, {
      onDidChangeInlayHints: hintsChanged.event,
      provideInlayHints: (document, range) => hintsIn(extension, document, range),
    }),
    vscode.languages.registerCodeLensProvider(documentSelector, lenses),
  );
}

/** Asks where numbers are to stand, and writes it into the setting. */
export async function showNumbers({ overlay }: Extension): Promise<void> {
  const now = readSetting(SETTING);
  const items = Object.entries(placeWords).map(([place, label]) => ({
    label: `${place === now ? "$(check) " : ""}${label}`,
    place,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: "LFP Lens: numbers in the text" });
  if (chosen === undefined) return;
  const configuration = vscode.workspace.getConfiguration(section);
  const { workspaceValue } = configuration.inspect(SETTING) ?? {};
  const { Global, Workspace } = vscode.ConfigurationTarget;
  await configuration.update(SETTING, chosen.place, workspaceValue === undefined ? Global : Workspace);
  if (overlay.mode === undefined && chosen.place !== "off") overlay.show("auto");
}

const placeWords: { readonly [K in Place]: string } = {
  off: "None",
  lineEnd: "The mean of each line, at its end",
  word: "The value of each coloured word, behind it",
  above: "The mean of each paragraph or record, above it",
};

function hintsIn({ overlay }: Extension, document: vscode.TextDocument, range: vscode.Range): vscode.InlayHint[] {
  const place = readSetting(SETTING);
  const reading = overlay.of(document)?.current;
  if (reading === undefined || (place !== "lineEnd" && place !== "word")) return [];
  const part = { start: document.offsetAt(range.start), end: document.offsetAt(range.end) };
  const near = reading.passages.filter(({ start, end }) => end > part.start && start < part.end);
  const [fades, mode] = [readSetting("fadeUnfamiliar"), reading.view.mode.kind];
  if (place === "word")
    return strongNumbers(near, { mode, limit: reading.limit, fades }).map((word) =>
      hintAt(wordRangeOf(document, word).end, signed(word.value), withUnit(word.value, mode)),
    );
  const words = near.flatMap((passage) => numbersIn(passage, fades));
  const means = meansOfWords(words, (word) => wordRangeOf(document, word).start.line);
  return [...means].map(([line, mean]) =>
    hintAt(document.lineAt(line).range.end, signed(mean.mean), meanWords(document, reading, mean)),
  );
}

function hintAt(position: vscode.Position, label: string, tooltip: string): vscode.InlayHint {
  const hint = new vscode.InlayHint(position, label);
  hint.paddingLeft = true;
  hint.tooltip = tooltip;
  return hint;
}

/** `mean −0.31 nats over 24 words, strongest “great” +2.10 nats`. */
function meanWords(document: vscode.TextDocument, { view }: DocumentTokens, mean: GroupMean): string {
  const { one, many } = unitWords[view.unit];
  const { strongest, count } = mean;
  const word = isolated(document.getText(rangeOf(document, strongest)).trim());
  const kind = view.mode.kind;
  const over = `over ${count} ${count === 1 ? one : many}`;
  return `mean ${withUnit(mean.mean, kind)} ${over}, strongest “${word}” ${withUnit(strongest.value, kind)}`;
}

/** Lines above paragraphs or records with their means; a click goes to the strongest word. */
class MeanLenses implements vscode.CodeLensProvider, vscode.Disposable {
  readonly #extension: Extension;
  readonly #changed = new vscode.EventEmitter<void>();
  /** What was shown last: lenses keep their lines while the text is read again, so that it stays in its place. */
  readonly #shown = new WeakMap<vscode.TextDocument, readonly vscode.CodeLens[]>();
  readonly #told = new WeakMap<vscode.TextDocument, string>();

  readonly onDidChangeCodeLenses = this.#changed.event;

  constructor(extension: Extension) {
    this.#extension = extension;
  }

  /** Tells VS Code of other lenses than before: being asked again for the same ones would move the text. */
  look(document: vscode.TextDocument | undefined): void {
    if (document !== undefined) {
      const key = JSON.stringify(
        this.#lensesOf(document)?.map(({ range, command }) => [range.start.line, command?.title]),
      );
      if (this.#told.get(document) === key) return;
      this.#told.set(document, key);
    }
    this.#changed.fire();
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const lenses = this.#lensesOf(document);
    if (lenses === undefined) {
      const kept = (this.#shown.get(document) ?? []).filter(({ range }) => range.start.line < document.lineCount);
      return kept.map(({ range }) => new vscode.CodeLens(range, { title: "$(sync)\u00a0reading", command: "" }));
    }
    this.#shown.set(document, lenses);
    return lenses;
  }

  dispose(): void {
    this.#changed.dispose();
  }

  /** Undefined while the text is read again. */
  #lensesOf(document: vscode.TextDocument): vscode.CodeLens[] | undefined {
    const reader = this.#extension.overlay.of(document);
    if (reader === undefined || readSetting(SETTING) !== "above") return [];
    const { current } = reader;
    if (current === undefined) return reader.isReading ? undefined : [];
    const fades = readSetting("fadeUnfamiliar");
    // A pair has a line above it that says more.
    const pairs = new Set(current.pairs.map(({ line }) => line));
    const words = current.passages.flatMap((passage) => {
      const { line } = document.positionAt(passage.start);
      return numbersIn(passage, fades).map((word) => ({ ...word, line }));
    });
    const means = meansOfWords(words, ({ line }) => line);
    return [...means].flatMap(([line, mean]) => (pairs.has(line) ? [] : [meanLens(document, current, line, mean)]));
  }
}

function meanLens(
  document: vscode.TextDocument,
  reading: DocumentTokens,
  line: number,
  mean: GroupMean,
): vscode.CodeLens {
  return new vscode.CodeLens(new vscode.Range(line, 0, line, 0), {
    title: meanWords(document, reading, mean),
    tooltip: "Go to the strongest",
    command: "vscode.open",
    arguments: [document.uri, { selection: wordRangeOf(document, mean.strongest) }],
  });
}
