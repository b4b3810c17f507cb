/** Lets people choose the run that the lens reads through. */
import * as vscode from "vscode";
import { ChooseRun } from "../server/protocol/lens-state.ts";
import { ListRuns, type RunView } from "../server/protocol/runs.ts";
import { rememberTarget } from "./chosen-target.ts";
import type { Extension } from "./context.ts";
import { nameOf } from "./looked-through.ts";

export async function chooseRun(extension: Extension): Promise<void> {
  const { runs } = await extension.server.request(ListRuns, {});
  const items = runs
    .filter(({ hasProbe }) => hasProbe)
    .map((run) => ({ label: run.name, description: describe(run), detail: run.folder, folder: run.folder }));
  const newest = {
    label: "$(history) The newest finished run",
    description: "or the one that came with LFP Lens",
    detail: "",
    folder: null,
  };
  const chosen = await vscode.window.showQuickPick([newest, ...items], {
    title: "LFP Lens: the run to look through",
    placeHolder: extension.lens.kind === "ready" ? nameOf(extension.lens.info) : "A finished run",
  });
  if (chosen === undefined) return;
  await rememberTarget(extension, chosen.folder === null ? null : { kind: "run", folder: chosen.folder });
  const state = await extension.server.request(ChooseRun, { runFolder: chosen.folder });
  if (state.kind === "failed") throw new Error(state.failure.message);
}

function describe({ state, updated }: RunView): string {
  const when = updated === null ? "" : new Date(updated).toLocaleString();
  return [state.kind, when].filter((part) => part !== "").join(", ");
}
