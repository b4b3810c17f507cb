/** Compares two checkpoints without a run: how tuning changed the predictions. */
import * as vscode from "vscode";
import * as z from "zod";
import { ComparePair } from "../server/protocol/lens-state.ts";
import { pairName } from "../server/protocol/pair-name.ts";
import { choosing, rememberTarget } from "./chosen-target.ts";
import type { Extension } from "./context.ts";

const KEY = "lfpLens.comparedCheckpoints";
const Folders = z.object({ tuned: z.string(), base: z.string() });

/**
 * Asks for both folders, opens them, and colours by what the tuned checkpoint learned. If they cannot be opened, the
 * previous target stays.
 */
export async function compareCheckpoints(extension: Extension): Promise<void> {
  if (!vscode.workspace.isTrusted)
    throw new Error("Comparing checkpoints loads them, and needs a trusted workspace: see Manage Workspace Trust.");
  const { globalState } = extension.vscode;
  const last = Folders.safeParse(globalState.get<unknown>(KEY)).data;
  const tuned = await askForFolder("the tuned checkpoint (1 of 2)", "Choose as Tuned", last?.tuned);
  if (tuned === undefined) return;
  const base = await askForFolder("the checkpoint that it was tuned from (2 of 2)", "Choose as Base", last?.base);
  if (base === undefined) return;
  const pair = { tuned, base };
  await globalState.update(KEY, pair);
  const progress = {
    location: vscode.ProgressLocation.Notification,
    title: `LFP Lens: opening ${pairName(pair)}`,
    cancellable: true,
  };
  await vscode.window.withProgress(progress, (_, token) =>
    choosing(() => extension.server.request(ComparePair, { ...pair, open: true }, token)),
  );
  await rememberTarget(extension, { kind: "pair", ...pair });
  extension.overlay.show("auto");
}

async function askForFolder(what: string, openLabel: string, last: string | undefined): Promise<string | undefined> {
  const start = last === undefined ? vscode.workspace.workspaceFolders?.[0]?.uri : vscode.Uri.file(last);
  const [folder] =
    (await vscode.window.showOpenDialog({
      title: `LFP Lens: the folder of ${what}`,
      openLabel,
      canSelectFolders: true,
      canSelectFiles: false,
      ...(start === undefined ? {} : { defaultUri: start }),
    })) ?? [];
  if (folder === undefined) return undefined;
  if (folder.scheme !== "file") throw new Error(`${folder.toString(true)} is on no disk of this machine.`);
  return folder.fsPath;
}
