/** The side bar's view of the active document: the scale, and the strongest tokens to go to. */
import * as vscode from "vscode";
import type { Extension } from "../context.ts";
import { wordRangeOf } from "../documents.ts";
import { fadedEntries, type LegendEntry, legendEntries } from "./legend.ts";
import { modeLabel, withUnit } from "./modes.ts";
import { themeColor } from "./palette.ts";
import { stepFor } from "./scale.ts";
import type { StrongToken } from "./strongest.ts";
import type { Summary } from "./summary.ts";

type Node =
  | { readonly kind: "scale" }
  | { readonly kind: "legend"; readonly entry: LegendEntry }
  | { readonly kind: "strongest"; readonly count: number }
  | { readonly kind: "token"; readonly token: StrongToken; readonly summary: Summary };

const MOST_SHOWN = 50;

export function createReadingView(extension: Extension): vscode.Disposable {
  const changed = new vscode.EventEmitter<undefined>();
  const view = vscode.window.createTreeView("lfpLens.reading", {
    treeDataProvider: {
      onDidChangeTreeData: changed.event,
      getTreeItem: (node: Node) => itemOf(extension, node),
      getChildren: (node?: Node) => childrenOf(extension, node),
    },
  });
  const update = (): void => {
    const { mode } = extension.overlay;
    const mean = extension.summaries.current?.mean ?? null;
    view.description =
      mode === undefined
        ? ""
        : [modeLabel(mode), ...(mean === null ? [] : [`mean ${withUnit(mean, mode.kind)}`])].join(" · ");
    changed.fire(undefined);
  };
  return vscode.Disposable.from(view, changed, extension.summaries.onDidChange(update));
}

function childrenOf(extension: Extension, node: Node | undefined): Node[] {
  const summary = extension.summaries.current;
  const { mode } = extension.overlay;
  if (summary?.limit === undefined || mode === undefined) return [];
  const tokens = summary.strongest?.tokens ?? [];
  if (node === undefined) return [{ kind: "scale" }, { kind: "strongest", count: tokens.length }];
  if (node.kind === "scale") {
    const faded = (summary.strongest?.unfamiliar ?? 0) > 0 ? fadedEntries() : [];
    return [...legendEntries(mode.kind, summary.limit), ...faded].map((entry) => ({
      kind: "legend",
      entry,
    }));
  }
  if (node.kind === "strongest") return tokens.slice(0, MOST_SHOWN).map((token) => ({ kind: "token", token, summary }));
  return [];
}

function itemOf(extension: Extension, node: Node): vscode.TreeItem {
  const { Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
  switch (node.kind) {
    case "scale":
      return new vscode.TreeItem("Scale", Collapsed);
    case "strongest":
      return new vscode.TreeItem("Strongest tokens", node.count === 0 ? Collapsed : Expanded);
    case "legend": {
      const item = new vscode.TreeItem(node.entry.range);
      item.description = node.entry.cue;
      item.iconPath = new vscode.ThemeIcon("circle-filled", themeColor(node.entry.step));
      return item;
    }
    case "token":
      return tokenItem(extension, node.token, node.summary);
  }
}

function tokenItem({ overlay }: Extension, token: StrongToken, { document, limit }: Summary): vscode.TreeItem {
  const item = new vscode.TreeItem(token.text.trim());
  const range = wordRangeOf(document, token);
  const line = range.start.line + 1;
  const mode = overlay.mode?.kind ?? "learned";
  const value = withUnit(token.value, mode);
  item.description = `${value}, line ${line}`;
  item.accessibilityInformation = { label: `${token.text.trim()}, ${value.replace("−", "minus ")}, line ${line}` };
  const step = stepFor(token.value, limit ?? 1, mode);
  item.iconPath = new vscode.ThemeIcon("circle-filled", step === undefined ? undefined : themeColor(step));
  item.command = { command: "vscode.open", title: "Go to token", arguments: [document.uri, { selection: range }] };
  return item;
}
