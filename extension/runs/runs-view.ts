import * as vscode from "vscode";
import type { ServerConnection } from "../server-connection.ts";
import { RunOutputs } from "./run-output.ts";
import { RunsModel } from "./runs-model.ts";
import { type RunsNode, RunsTree } from "./runs-tree.ts";
import { showRunInStatusBar } from "./status-item.ts";

/** The Runs view with its model and tree. */
export class RunsView implements vscode.Disposable {
  readonly model: RunsModel;
  readonly outputs: RunOutputs;
  readonly #tree: RunsTree;
  readonly #view: vscode.TreeView<RunsNode>;
  readonly #parts: vscode.Disposable;

  constructor(server: ServerConnection) {
    this.model = new RunsModel(server);
    this.outputs = new RunOutputs(server, this.model);
    this.#tree = new RunsTree(this.model);
    this.#view = vscode.window.createTreeView("lfpLens.runs", { treeDataProvider: this.#tree, canSelectMany: true });
    this.#parts = vscode.Disposable.from(
      this.#view,
      this.#tree,
      this.outputs,
      showRunInStatusBar(this.model),
      this.model,
    );
  }

  /** Shows the view with this run selected and its stages expanded. */
  async reveal(folder: string): Promise<void> {
    await this.model.all();
    await this.#view.reveal(this.#tree.runNode(folder), { select: true, expand: true });
  }

  dispose(): void {
    this.#parts.dispose();
  }
}
