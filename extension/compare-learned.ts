/** Colours texts by the difference of two runs' learned rewards, and goes back to what was before. */
import { basename } from "node:path";
import * as vscode from "vscode";
import * as z from "zod";
import { CompareLearned, LensTarget } from "../server/protocol/lens-state.ts";
import { chooseTarget, choosing, remembered, rememberTarget } from "./chosen-target.ts";
import type { Extension } from "./context.ts";

const KEY = "lfpLens.beforeDifference";

/** What was looked through and shown before two runs were compared; a window that is reloaded keeps it. */
const Before = z.object({
  /** Null: the server's choice. */
  target: LensTarget.nullable(),
  /** The overlay's choice of a mode; null: off. */
  choice: z.unknown(),
});

/** Opens both runs and colours by the learned reward of `a` minus that of `b`. If that fails, what was before stays. */
export async function showDifference(extension: Extension, a: string, b: string): Promise<void> {
  if (!vscode.workspace.isTrusted)
    throw new Error("Comparing runs loads their models, and needs a trusted workspace: see Manage Workspace Trust.");
  const { workspaceState } = extension.vscode;
  const target = remembered(extension) ?? null;
  const progress = {
    location: vscode.ProgressLocation.Notification,
    title: `LFP Lens: opening ${basename(a)} and ${basename(b)}`,
    cancellable: true,
  };
  await vscode.window.withProgress(progress, (_, token) =>
    choosing(() => extension.server.request(CompareLearned, { a, b, open: true }, token)),
  );
  if (target?.kind !== "difference")
    await workspaceState.update(KEY, { target, choice: extension.overlay.choice ?? null });
  await rememberTarget(extension, { kind: "difference", a, b });
  extension.overlay.show("auto");
}

/** Goes back to what was looked through before; without colours if there were none. */
export async function closeDifference(extension: Extension): Promise<void> {
  const { workspaceState } = extension.vscode;
  const before = Before.safeParse(workspaceState.get<unknown>(KEY)).data ?? { target: null, choice: "auto" };
  const { LensMode } = await import("../server/protocol/lens.ts");
  const choice = LensMode.safeParse(before.choice).data ?? "auto";
  await workspaceState.update(KEY, undefined);
  await chooseTarget(extension, before.target);
  if (before.choice === null) extension.overlay.hide();
  else extension.overlay.show(choice);
}
