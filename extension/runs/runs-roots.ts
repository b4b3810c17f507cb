import { isAbsolute, join } from "node:path";
import * as vscode from "vscode";
import { readSetting } from "../settings.ts";

/**
 * Absolute folders in which runs are found and created, in order of preference; empty if the workspace has no folder on
 * disk.
 */
export function runsRoots(): string[] {
  const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file");
  return readSetting("runsFolders").flatMap((runs) =>
    isAbsolute(runs) ? [runs] : folders.map(({ uri }) => join(uri.fsPath, runs)),
  );
}
