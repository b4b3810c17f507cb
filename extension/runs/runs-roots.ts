import { isAbsolute, join } from "node:path";
import * as vscode from "vscode";
import { readSetting } from "../settings.ts";

/** Absolute folders in which runs are found and made, in order of preference; none without a folder of the disk in the workspace. */
export function runsRoots(): string[] {
  const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file");
  return readSetting("runsFolders").flatMap((runs) =>
    isAbsolute(runs) ? [runs] : folders.map(({ uri }) => join(uri.fsPath, runs)),
  );
}
