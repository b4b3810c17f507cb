/** The Features view of the lens's run: the pinned features and those that move the probe most. */
import { basename } from "node:path";
import * as vscode from "vscode";
import { openFeature } from "../../server/protocol/commands.ts";
import type { FeatureRow } from "../../server/protocol/features.ts";
import type { Extension } from "../context.ts";
import { contributionText, featureSentence, meaningOf } from "./feature-text.ts";

/** Maximum number of features in the view; the page has all. */
const most = 40;

export interface FeatureNode {
  readonly runFolder: string;
  readonly id: string;
  readonly row: FeatureRow;
}

/** Tree of the lens's run: its pinned features, then those that move the probe most. */
export class FeaturesTree implements vscode.TreeDataProvider<FeatureNode>, vscode.Disposable {
  readonly #extension: Extension;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly #listening: vscode.Disposable;

  /** Ids of the features that the view lists, in its order. */
  #ids: readonly string[] = [];
  readonly #shown = new vscode.EventEmitter<string | undefined>();

  readonly onDidChangeTreeData = this.#changed.event;
  /** Fires with the name of the run whose features are shown; undefined if there is none. */
  readonly onDidShowRun = this.#shown.event;

  constructor(extension: Extension) {
    this.#extension = extension;
    const look = (): void => this.#changed.fire(undefined);
    this.#listening = vscode.Disposable.from(
      extension.onDidChangeLens(look),
      extension.features.onDidChange(look),
      extension.runs.model.onDidChange((folders) => {
        if (folders === undefined) look();
      }),
    );
  }

  async getChildren(node?: FeatureNode): Promise<FeatureNode[]> {
    if (node !== undefined) return [];
    const runFolder = await this.#extension.featuresRun();
    void vscode.commands.executeCommand("setContext", "lfpLens.hasFeatures", runFolder !== undefined);
    // Known only now: the view does not say that no run is open before it has looked.
    void vscode.commands.executeCommand("setContext", "lfpLens.noFeatures", runFolder === undefined);
    this.#shown.fire(runFolder === undefined ? undefined : basename(runFolder));
    if (runFolder === undefined) return [];
    const { features } = this.#extension;
    const pinned = await features.query(runFolder, { pinned: true }, { offset: 0, count: most });
    const first = await features.query(runFolder, {}, { offset: 0, count: most });
    const rest = first.rows.filter(({ id }) => !pinned.rows.some((row) => row.id === id));
    const rows = [...pinned.rows, ...rest];
    this.#ids = rows.map(({ id }) => id);
    return rows.map((row) => ({ runFolder, id: row.id, row }));
  }

  getTreeItem({ runFolder, id, row }: FeatureNode): vscode.TreeItem {
    // The number first: what a feature means is as long as the view is wide.
    const item = new vscode.TreeItem([id, contributionText(row)].filter((part) => part !== "").join("  "));
    item.id = `${runFolder}/${id}`;
    item.description = meaningOf(row);
    item.iconPath = row.pinned ? new vscode.ThemeIcon("pinned", colourOf(row)) : signIcon(row);
    item.tooltip = featureSentence(row);
    item.contextValue = row.pinned ? "feature pinned" : "feature";
    item.accessibilityInformation = { label: featureSentence(row) };
    const arguments_ = [{ runFolder, id }, { list: this.#ids }];
    item.command = { command: openFeature.id, title: "Open Feature", arguments: arguments_ };
    return item;
  }

  dispose(): void {
    this.#listening.dispose();
    this.#shown.dispose();
    this.#changed.dispose();
  }
}

/** An arrow up or down in the colours of the overlay, so that the shape shows the sign too. */
function signIcon(row: FeatureRow): vscode.ThemeIcon {
  const value = row.contribution ?? 0;
  if (value === 0) return new vscode.ThemeIcon("dash");
  return new vscode.ThemeIcon(value > 0 ? "triangle-up" : "triangle-down", colourOf(row));
}

function colourOf({ contribution }: FeatureRow): vscode.ThemeColor {
  return new vscode.ThemeColor((contribution ?? 0) < 0 ? "lfpLens.negativeLine" : "lfpLens.positiveLine");
}
