import * as vscode from "vscode";
import type { Extension } from "./context.ts";
import { isExperiment } from "./documents.ts";
import { messageOf } from "./server-failure.ts";

/** Starts the server when an experiment file is open; the server checks such files while one types. */
export function checkExperimentFiles({ server, log }: Extension): vscode.Disposable {
  const look = (document: vscode.TextDocument): void => {
    if (isExperiment(document) && server.state.kind === "off")
      server.start().catch((error: unknown) => log.warn(messageOf(error)));
  };
  vscode.workspace.textDocuments.forEach(look);
  return vscode.workspace.onDidOpenTextDocument(look);
}
