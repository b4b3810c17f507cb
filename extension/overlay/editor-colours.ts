/** Remembers what one editor shows, so that only differences are sent to it. */
import * as vscode from "vscode";
import { readSetting } from "../settings.ts";
import { type Coloured, colouredStretches, type Interval } from "./colour-stretches.ts";
import type { DocumentTokens } from "./document-reader.ts";
import type { Palette } from "./palette.ts";
import { type Step, steps } from "./scale.ts";

/** Maximum number of ranges, because editors draw thousands of decorations slowly. */
const MOST_RANGES = 2000;

/** An editor's decorations by step. */
export class EditorColours {
  readonly #editor: vscode.TextEditor;
  readonly #palette: Palette;
  /** The shown offsets by step. A missing step shows nothing. */
  #shown = new Map<Step, string>();

  constructor(editor: vscode.TextEditor, palette: Palette) {
    this.#editor = editor;
    this.#palette = palette;
  }

  /** Colours this part by the reading; without a reading, removes the colours. */
  show(reading: DocumentTokens | undefined, part: Interval): void {
    if (reading === undefined) {
      this.clear();
      return;
    }
    const byStep = Map.groupBy(this.#stretches(reading, part), ({ step }) => step);
    for (const step of steps) this.#set(step, byStep.get(step) ?? []);
  }

  clear(): void {
    for (const step of [...this.#shown.keys()]) this.#set(step, []);
  }

  /** Notes that an edit moved the decorations, so that the remembered offsets are out of date. */
  moved(): void {
    for (const step of this.#shown.keys()) this.#shown.set(step, "moved");
  }

  #stretches({ passages, limit, view }: DocumentTokens, part: Interval): Coloured[] {
    const { document } = this.#editor;
    const near = passages.filter(({ start, end }) => end > part.start && start < part.end);
    const textOf = (start: number, end: number): string =>
      document.getText(new vscode.Range(document.positionAt(start), document.positionAt(end)));
    const scale = { mode: view.mode.kind, limit, fades: readSetting("fadeUnfamiliar") };
    return colouredStretches(near, scale, part, textOf, MOST_RANGES);
  }

  #set(step: Step, stretches: readonly Coloured[]): void {
    const places = stretches.map(({ start, end }) => `${start}-${end}`).join();
    if ((this.#shown.get(step) ?? "") === places) return;
    const kind = this.#palette.get(step);
    if (kind === undefined) return;
    const { document } = this.#editor;
    // Plain ranges, which VS Code sends as one array of numbers.
    const ranges = stretches.map(
      ({ start, end }) => new vscode.Range(document.positionAt(start), document.positionAt(end)),
    );
    this.#editor.setDecorations(kind, ranges);
    if (places === "") this.#shown.delete(step);
    else this.#shown.set(step, places);
  }
}
