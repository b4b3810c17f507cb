/** Lets people choose the run that the lens reads through. */
import * as vscode from "vscode";
import { ChooseRun, targetOf } from "../server/protocol/lens-state.ts";
import { ListRuns, type RunView } from "../server/protocol/runs.ts";
import { choosing, rememberTarget } from "./chosen-target.ts";
import type { Extension } from "./context.ts";
import { nameOf } from "./looked-through.ts";
import { runDescription } from "./runs/run-text.ts";

export async function chooseRun(extension: Extension): Promise<void> {
  const { runs, bundled } = await extension.server.request(ListRuns, {});
  const target = targetOf(extension.lens);
  const current = target?.kind === "run" ? target.folder : undefined;
  const itemOf = (run: RunView, description: string) => ({
    label: `${run.folder === current ? "$(check) " : ""}${run.name}`,
    description,
    detail: run.folder,
    folder: run.folder,
  });
  const items = runs.filter(({ hasProbe }) => hasProbe).map((run) => itemOf(run, describe(run)));
  const own = bundled?.hasProbe === true ? [itemOf(bundled, "the run that comes with LFP Lens")] : [];
  const newest = {
    label: "$(history) The newest finished run",
    description:
      items.length === 0
        ? "none of this workspace yet: the run that comes with LFP Lens"
        : "also when another finishes",
    detail: "",
    folder: null,
  };
  const chosen = await vscode.window.showQuickPick([newest, ...items, ...own], {
    title: "LFP Lens: the run to look through",
    placeHolder: extension.lens.kind === "ready" ? `Now ${nameOf(extension.lens.info)}` : "A finished run",
  });
  if (chosen !== undefined) await lookThrough(extension, chosen.folder);
}

/** Looks through a run from now on; null: through the newest finished one. Throws if it cannot be opened. */
export async function lookThrough(extension: Extension, folder: string | null): Promise<void> {
  await rememberTarget(extension, folder === null ? null : { kind: "run", folder });
  const state = await choosing(() => extension.server.request(ChooseRun, { runFolder: folder }));
  if (state.kind === "failed") throw new Error(state.failure.message);
}

function describe(run: RunView): string {
  return [run.state.kind, runDescription(run, new Date())].filter((part) => part !== "").join(", ");
}
