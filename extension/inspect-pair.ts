/** The tokens of the preference pair at the cursor, as a read-only document. */
import * as vscode from "vscode";
import type { Extension } from "./context.ts";

const SCHEME = "lfp-pair-tokens";
/** Documents that are kept for tabs that still show them. */
const MOST_KEPT = 20;

/** Documents about pairs, which no file holds: the data may be harmful. */
export class PairDocuments implements vscode.Disposable {
  readonly #texts = new Map<string, string>();
  readonly #registration: vscode.Disposable;
  #count = 0;

  constructor() {
    this.#registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
      provideTextDocumentContent: (uri) =>
        this.#texts.get(uri.path) ?? "These tokens are no longer kept. Inspect the pair again.",
    });
  }

  /** Adds a document and returns its URI. */
  add(title: string, markdown: string): vscode.Uri {
    this.#count++;
    const path = `/${this.#count}/${title}.md`;
    this.#texts.set(path, markdown);
    for (const kept of [...this.#texts.keys()].slice(0, -MOST_KEPT)) this.#texts.delete(kept);
    return vscode.Uri.from({ scheme: SCHEME, path });
  }

  dispose(): void {
    this.#registration.dispose();
  }
}

/** Shows the tokens of the record at the cursor of a .jsonl file, as they are learned from. */
export async function inspectPair({ server, pairDocuments }: Extension): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined || !editor.document.uri.path.endsWith(".jsonl"))
    throw new Error("Open a .jsonl file of preference pairs and put the cursor on a record.");
  const { document, selection } = editor;
  const row = selection.active.line;
  const record = document.lineAt(row).text;
  const { InspectPair, MAX_RECORD } = await import("../server/protocol/inspect-pair.ts");
  if (record.length > MAX_RECORD)
    throw new Error(`This record has ${record.length} characters; at most ${MAX_RECORD} are inspected.`);
  const data = document.uri.path.split("/").at(-1) ?? "";
  const progress = {
    location: vscode.ProgressLocation.Notification,
    title: "LFP Lens: making tokens of the pair",
    cancellable: true,
  };
  const { markdown } = await vscode.window.withProgress(progress, async (_, token) =>
    server.request(InspectPair, { record, data, row }, token),
  );
  await vscode.commands.executeCommand("markdown.showPreview", pairDocuments.add(`Tokens of row ${row}`, markdown));
}
