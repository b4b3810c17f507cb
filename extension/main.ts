import type * as vscode from "vscode";
import { registerCommands } from "./commands.ts";
import { Extension } from "./context.ts";

let extension: Extension | undefined;

export function activate(context: vscode.ExtensionContext): void {
  extension = new Extension(context);
  registerCommands(extension);
}

export async function deactivate(): Promise<void> {
  await extension?.server.dispose();
}
