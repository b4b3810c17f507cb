/** A spinning item at the left of the status bar while a run is active; it opens the view. */
import * as vscode from "vscode";
import { progressOfRun, runSentence } from "./run-text.ts";
import type { RunsModel } from "./runs-model.ts";

export function showRunInStatusBar(model: RunsModel): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("lfpLens.run", vscode.StatusBarAlignment.Left, 10);
  item.name = "LFP Lens: Run";
  item.command = "lfpLens.runs.focus";
  const show = (): void => {
    const active = model.known().find(({ state }) => state.kind === "running");
    if (active === undefined) {
      item.hide();
      return;
    }
    item.text = `$(loading~spin) ${active.name}: ${progressOfRun(active) ?? active.state.kind}`;
    item.tooltip = runSentence(active);
    item.show();
  };
  const listening = model.onDidChange(show);
  return vscode.Disposable.from(item, listening);
}
