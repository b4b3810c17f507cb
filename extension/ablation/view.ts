/** The view of the active ablation set: its features with their factors, beside the run that they belong to. */
import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import type { Extension } from "../context.ts";
import { showPage } from "../pages/show-page.ts";
import { ABLATION_ENDING } from "./choice.ts";
import { nameOf } from "./set-file.ts";

/** Registers the view of the active ablation set, as package.json names it. */
export function createAblationView(extension: Extension): vscode.Disposable {
  return vscode.window.registerWebviewViewProvider("lfpLens.ablation", {
    resolveWebviewView: async (view) => {
      const { ablationHost } = await import("./view-host.ts");
      const { ablation, vscode: context, log } = extension;
      const place = { context, log, page: "ablation", panel: randomUUID() };
      const shown = showPage(view.webview, place, (page) => ablationHost(extension, page));
      const describe = (): void => {
        view.description = ablation.uri === undefined ? "" : nameOf(ablation.uri).replace(ABLATION_ENDING, "");
      };
      describe();
      const listening = ablation.onDidChange(describe);
      view.onDidDispose(() => vscode.Disposable.from(shown, listening).dispose());
    },
  });
}
