import { TextDocument } from "vscode-languageserver-textdocument";
import { z } from "zod";
import { LfpError } from "../common/errors.ts";
import type { Dispatcher } from "./dispatch.ts";
import { StaleDocumentError } from "./failures.ts";
import { MAX_DOCUMENT_UNITS, MAX_OPEN_DOCUMENTS, MAX_OPEN_UNITS, MAX_URI_UNITS } from "./limits.ts";
import { applyChanges, ContentChange } from "./text-edits.ts";

/** An immutable copy of a document at one version. */
export interface Snapshot {
  readonly uri: string;
  readonly languageId: string;
  readonly version: number;
  readonly text: string;
  /** Converts between positions and offsets, in UTF-16 units. */
  readonly lines: Pick<TextDocument, "offsetAt" | "positionAt">;
  /** Aborted, with a `StaleDocumentError`, when the document changes or is closed. */
  readonly left: AbortSignal;
}

/** The server does not read a document because it is too large or out of sync. */
export class DocumentRefusedError extends LfpError {
  readonly code = "resource";
}

/** A request names a document that the editor has not opened. */
export class DocumentNotOpenError extends LfpError {
  readonly code = "not-found";

  constructor(uri: string) {
    super(`${uri.slice(0, 300)} is not open; the editor must open a document before it asks about it.`);
  }
}

/** Called for every document that is opened, changed, refused or closed; with undefined for the last two. */
export type DocumentListener = (uri: string, snapshot: Snapshot | undefined) => void;

/** The open documents, kept in sync with the editor by incremental changes. */
export class Documents {
  readonly #open = new Map<string, OpenDocument>();
  /** Documents that are open in the editor but that the server does not read, with the reason. */
  readonly #refused = new Map<string, string>();
  readonly #listeners: DocumentListener[] = [];
  #units = 0;

  /** Handles the notifications `textDocument/*`. */
  serve(dispatcher: Dispatcher, onRefused: (uri: string, reason: string) => void): void {
    dispatcher.standardNotification("textDocument/didOpen", DidOpen, ({ textDocument }) => {
      this.#close(textDocument.uri);
      const { uri, languageId, version, text } = textDocument;
      this.#settle(uri, onRefused, () => TextDocument.create(uri, languageId, version, text));
    });
    dispatcher.standardNotification("textDocument/didChange", DidChange, ({ textDocument, contentChanges }) => {
      const { uri, version } = textDocument;
      const before = this.#open.get(uri);
      if (before === undefined) return;
      this.#settle(uri, onRefused, () => applyChanges(before.document, contentChanges, version));
    });
    dispatcher.standardNotification("textDocument/didClose", DidClose, ({ textDocument: { uri } }) => {
      this.#close(uri);
      this.#tell(uri, undefined);
    });
  }

  listen(listener: DocumentListener): void {
    this.#listeners.push(listener);
  }

  /** Stops reading a document until the editor opens it again. */
  refuse(uri: string, reason: string): void {
    this.#close(uri);
    if (this.#refused.size < MAX_OPEN_DOCUMENTS) this.#refused.set(uri, reason);
    this.#tell(uri, undefined);
  }

  /** The document's current snapshot. Throws `DocumentNotOpenError` and `DocumentRefusedError`. */
  get(uri: string): Snapshot {
    const found = this.#open.get(uri);
    if (found !== undefined) return found.snapshot;
    const reason = this.#refused.get(uri);
    if (reason !== undefined) throw new DocumentRefusedError(reason);
    throw new DocumentNotOpenError(uri);
  }

  /** The document at this version. Throws what `get` throws, and `StaleDocumentError`. */
  at(uri: string, version: number): Snapshot {
    const found = this.get(uri);
    if (found.version !== version) throw new StaleDocumentError(uri, version, found.version);
    return found;
  }

  /** Like `get`, but undefined where `get` throws. */
  find(uri: string): Snapshot | undefined {
    return this.#open.get(uri)?.snapshot;
  }

  all(): Snapshot[] {
    return [...this.#open.values()].map(({ snapshot }) => snapshot);
  }

  #settle(uri: string, onRefused: (uri: string, reason: string) => void, make: () => TextDocument | undefined): void {
    const before = this.#open.get(uri);
    // The library changes a document in place, so the size to subtract is the one before the change.
    const unitsBefore = before?.snapshot.text.length ?? 0;
    const document = make();
    const reason =
      document === undefined
        ? `${shortName(uri)} changed in too many places at once. Close and open it to read it again.`
        : this.#problemWith(uri, document.getText().length, unitsBefore);
    if (reason !== undefined || document === undefined) {
      this.refuse(uri, reason ?? "");
      onRefused(uri, reason ?? "");
      return;
    }
    before?.leave.abort(new StaleDocumentError(uri, before.snapshot.version, document.version));
    const leave = new AbortController();
    const text = document.getText();
    const { languageId, version } = document;
    // A copy, because callers convert positions long after the library's document has changed.
    const lines = TextDocument.create(uri, languageId, version, text);
    const snapshot: Snapshot = { uri, languageId, version, text, lines, left: leave.signal };
    this.#units += text.length - unitsBefore;
    this.#open.set(uri, { document, snapshot, leave });
    this.#tell(uri, snapshot);
  }

  #problemWith(uri: string, units: number, unitsBefore: number): string | undefined {
    const name = shortName(uri);
    if (units > MAX_DOCUMENT_UNITS)
      return `${name} has ${units} characters; LFP Lens reads documents of up to ${MAX_DOCUMENT_UNITS}. Read a part of it.`;
    if (this.#units + units - unitsBefore > MAX_OPEN_UNITS)
      return `${name} is not read: the open documents have over ${MAX_OPEN_UNITS} characters together. Close some.`;
    if (this.#open.size >= MAX_OPEN_DOCUMENTS && !this.#open.has(uri))
      return `${name} is not read: over ${MAX_OPEN_DOCUMENTS} documents are open. Close some.`;
    return undefined;
  }

  #close(uri: string): void {
    const found = this.#open.get(uri);
    this.#refused.delete(uri);
    if (found === undefined) return;
    this.#open.delete(uri);
    this.#units -= found.snapshot.text.length;
    found.leave.abort(new StaleDocumentError(uri, found.snapshot.version, undefined));
  }

  #tell(uri: string, snapshot: Snapshot | undefined): void {
    for (const listener of this.#listeners) listener(uri, snapshot);
  }
}

interface OpenDocument {
  readonly document: TextDocument;
  readonly snapshot: Snapshot;
  readonly leave: AbortController;
}

const Uri = z.string().max(MAX_URI_UNITS);
const DidOpen = z.object({
  textDocument: z.object({ uri: Uri, languageId: z.string().max(100), version: z.int(), text: z.string() }),
});
const DidChange = z.object({
  textDocument: z.object({ uri: Uri, version: z.int() }),
  contentChanges: z.array(ContentChange),
});
const DidClose = z.object({ textDocument: z.object({ uri: Uri }) });

function shortName(uri: string): string {
  return (uri.split("/").at(-1) ?? uri).slice(0, 100);
}
