/** A run's report as a Markdown document for VS Code's preview, including what was measured after the run. */
import { basename } from "node:path";
import * as vscode from "vscode";
import * as z from "zod";
import { ReadReport } from "../../server/protocol/runs.ts";
import type { ServerConnection } from "../server-connection.ts";

const SCHEME = "lfp-report";
const queryOf = z.object({ folder: z.string() });

/** Provides reports as virtual documents that are recomputed whenever they are shown. */
export class ReportDocuments implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #changed = new vscode.EventEmitter<vscode.Uri>();
  readonly #registration: vscode.Disposable;

  constructor(server: ServerConnection) {
    this.#server = server;
    this.#registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
      onDidChange: this.#changed.event,
      provideTextDocumentContent: async (uri) => await this.#markdown(uri),
    });
  }

  /** Opens the preview of a run's report. */
  async show(folder: string): Promise<void> {
    const path = `/${basename(folder)}-report.md`;
    const uri = vscode.Uri.from({ scheme: SCHEME, path, query: JSON.stringify({ folder }) });
    this.#changed.fire(uri);
    await vscode.commands.executeCommand("markdown.showPreview", uri);
  }

  dispose(): void {
    this.#registration.dispose();
    this.#changed.dispose();
  }

  async #markdown(uri: vscode.Uri): Promise<string> {
    const { folder } = queryOf.parse(JSON.parse(uri.query));
    return (await this.#server.request(ReadReport, { folder })).markdown;
  }
}
