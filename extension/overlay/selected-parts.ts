/** Documents of which only what a person selected is read, coloured and counted. */
import * as vscode from "vscode";
import type { ReadPassage } from "../../server/protocol/lens.ts";
import type { Interval } from "./colour-stretches.ts";

/** The parts of documents that a person wants read, instead of all; they move as the text before them is edited. */
export class SelectedParts implements vscode.Disposable {
  readonly #parts = new Map<vscode.TextDocument, readonly Interval[]>();
  readonly #changed = new vscode.EventEmitter<vscode.TextDocument>();
  readonly #listening: vscode.Disposable;

  /** Fires when other parts of a document than before are to be read; not when they only move. */
  readonly onDidChange = this.#changed.event;

  constructor() {
    this.#listening = vscode.Disposable.from(
      this.#changed,
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) =>
        this.#edited(document, contentChanges),
      ),
      vscode.workspace.onDidCloseTextDocument((document) => this.#parts.delete(document)),
    );
  }

  /** In the order of the text; undefined: the whole document. */
  of(document: vscode.TextDocument): readonly Interval[] | undefined {
    return this.#parts.get(document);
  }

  /** Reads only these parts; without any, the whole document again. */
  set(document: vscode.TextDocument, parts: readonly Interval[]): void {
    if (parts.length === 0) this.#parts.delete(document);
    else
      this.#parts.set(
        document,
        parts.toSorted((one, other) => one.start - other.start),
      );
    this.#changed.fire(document);
  }

  dispose(): void {
    this.#listening.dispose();
  }

  #edited(document: vscode.TextDocument, changes: readonly vscode.TextDocumentContentChangeEvent[]): void {
    const parts = this.#parts.get(document);
    if (parts === undefined || changes.length === 0) return;
    const left = changes.reduce(moved, parts);
    if (left.length === 0) this.set(document, []);
    else this.#parts.set(document, left);
  }
}

interface Change {
  readonly rangeOffset: number;
  readonly rangeLength: number;
  readonly text: string;
}

/** Where parts are after a change; what the change removes is no part any more, what it writes within one is. */
export function moved(parts: readonly Interval[], { rangeOffset, rangeLength, text }: Change): readonly Interval[] {
  const [end, by] = [rangeOffset + rangeLength, text.length - rangeLength];
  return parts
    .map((part) => {
      if (rangeOffset >= part.end) return part;
      if (end <= part.start) return { start: part.start + by, end: part.end + by };
      return {
        start: rangeOffset < part.start ? rangeOffset + text.length : part.start,
        end: end > part.end ? rangeOffset : part.end + by,
      };
    })
    .filter((part) => part.end > part.start);
}

/** What of some intervals lies within parts, in the order of the intervals; without parts, all. */
export function within(intervals: readonly Interval[], parts: readonly Interval[] | undefined): readonly Interval[] {
  if (parts === undefined) return intervals;
  return intervals.flatMap(({ start, end }) =>
    parts
      .map((part) => ({ start: Math.max(start, part.start), end: Math.min(end, part.end) }))
      .filter((common) => common.end > common.start),
  );
}

/** A passage with those of its words or tokens that lie within parts; without parts, all. */
export function clipped(passage: ReadPassage, parts: readonly Interval[] | undefined): ReadPassage {
  if (parts === undefined) return passage;
  const { starts, ends, values, unfamiliar } = passage.tokens;
  // A token may begin with the space before its word.
  const isIn = (at: number): boolean =>
    parts.some(({ start, end }) => (starts[at] ?? 0) >= start - 1 && (ends[at] ?? 0) <= end);
  const kept = [...starts.keys()].filter(isIn);
  const faded = new Set(unfamiliar);
  return {
    ...passage,
    tokens: {
      starts: kept.map((at) => starts[at] ?? 0),
      ends: kept.map((at) => ends[at] ?? 0),
      values: kept.map((at) => values[at] ?? null),
      unfamiliar: kept.flatMap((at, index) => (faded.has(at) ? [index] : [])),
    },
  };
}
