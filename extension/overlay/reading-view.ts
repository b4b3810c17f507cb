/** The side bar's view of the active document: the scale, means of its parts, and links to the strongest words. */
import * as vscode from "vscode";
import { ablationInWords } from "../../server/protocol/ablation.ts";
import { isolated } from "../../server/protocol/isolated.ts";
import type { ReadPassage } from "../../server/protocol/lens.ts";
import type { ReadPairRecord } from "../../server/protocol/pairs.ts";
import { textFormatOf } from "../../server/protocol/text-format.ts";
import type { AblationChoice } from "../ablation/choice.ts";
import type { Extension } from "../context.ts";
import { rangeOf, wordRangeOf } from "../documents.ts";
import { readSetting } from "../settings.ts";
import { fadedEntries, type LegendEntry, legendEntries } from "./legend.ts";
import { type MeanOf, meansByGroup, meansBySentence } from "./means.ts";
import { modeLabel, unitWords, withUnit } from "./modes.ts";
import { themeColor } from "./palette.ts";
import { signed, stepFor } from "./scale.ts";
import type { StrongToken } from "./strongest.ts";
import type { Summary } from "./summary.ts";

type Node =
  | { readonly kind: "busy" }
  | { readonly kind: "scale" }
  | { readonly kind: "legend"; readonly entry: LegendEntry }
  | { readonly kind: "means"; readonly parts: readonly PartMean[] }
  | { readonly kind: "mean"; readonly part: PartMean; readonly summary: Summary }
  | { readonly kind: "pairs"; readonly pairs: readonly ReadPairRecord[] }
  | { readonly kind: "pair"; readonly pair: ReadPairRecord; readonly summary: Summary }
  | { readonly kind: "strongest"; readonly count: number }
  | { readonly kind: "token"; readonly token: StrongToken; readonly summary: Summary };

/** A paragraph, a record or a sentence. */
interface PartMean extends MeanOf {
  readonly name: "paragraph" | "record" | "sentence";
  /** A paragraph's passage, in which its sentences are found. */
  readonly passage?: ReadPassage;
}

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
    const summary = extension.summaries.current;
    const mean = summary === undefined || summary.pairs.length > 0 ? null : summary.mean;
    view.description =
      mode === undefined
        ? ""
        : [
            modeLabel(mode, extension.lens),
            summary !== undefined && extension.selected.of(summary.document) !== undefined ? "selection" : undefined,
            ...(mean === null ? [] : [`mean ${withUnit(mean, mode.kind)}`]),
            ablationInWords(extension.overlay.view?.ablation ?? null),
            idleWords(extension.ablation),
          ]
            .filter((part) => part !== undefined)
            .join(" · ");
    changed.fire(undefined);
  };
  return vscode.Disposable.from(view, changed, extension.summaries.onDidChange(update));
}

/** Why the active ablation set does not act, in a few words; undefined if it does. */
function idleWords({ idle, state }: AblationChoice): string | undefined {
  if (idle === undefined) return undefined;
  return state.kind === "off" ? "ablation set off" : "ablation set of another run";
}

function childrenOf(extension: Extension, node: Node | undefined): Node[] {
  const summary = extension.summaries.current;
  const { mode } = extension.overlay;
  // Without any row VS Code would show the view's welcome text while a text is read again.
  if (node === undefined && summary?.limit === undefined && summary?.isReading === true) return [{ kind: "busy" }];
  if (summary?.limit === undefined || mode === undefined) return [];
  const tokens = summary.strongest?.tokens ?? [];
  switch (node?.kind) {
    case undefined:
      return [
        { kind: "scale" },
        // Means over both answers of a pair would say nothing.
        summary.pairs.length > 0 ? { kind: "pairs", pairs: summary.pairs } : { kind: "means", parts: meansOf(summary) },
        { kind: "strongest", count: tokens.length },
      ];
    case "scale": {
      const faded = (summary.strongest?.unfamiliar ?? 0) > 0 ? fadedEntries() : [];
      return [...legendEntries(mode.kind, summary.limit), ...faded].map((entry) => ({ kind: "legend", entry }));
    }
    case "means":
      return node.parts.slice(0, MOST_SHOWN).map((part) => ({ kind: "mean", part, summary }));
    case "mean":
      return sentencesOf(node.part, node.summary).map((part) => ({ kind: "mean", part, summary: node.summary }));
    case "pairs":
      return node.pairs.slice(0, MOST_SHOWN).map((pair) => ({ kind: "pair", pair, summary }));
    case "strongest":
      return tokens.slice(0, MOST_SHOWN).map((token) => ({ kind: "token", token, summary }));
    default:
      return [];
  }
}

/** Means of what has been read: one per record if lines are records, else one per paragraph. */
function meansOf({ document, passages }: Summary): PartMean[] {
  const fades = readSetting("fadeUnfamiliar");
  if (textFormatOf(document.languageId, document.uri.path) !== "text") {
    const lineOf = ({ start }: ReadPassage): number => document.positionAt(start).line;
    return meansByGroup(passages, lineOf, fades).map((mean) => ({ ...mean, name: "record" }));
  }
  return passages.flatMap((passage) =>
    meansByGroup([passage], () => 0, fades).map((mean) => ({ ...mean, name: "paragraph" as const, passage })),
  );
}

function sentencesOf({ passage }: PartMean, { document }: Summary): PartMean[] {
  if (passage === undefined) return [];
  const text = document.getText(rangeOf(document, passage));
  const sentences = meansBySentence(passage, text, readSetting("fadeUnfamiliar"));
  return sentences.map((mean) => ({ ...mean, name: "sentence" }));
}

function itemOf(extension: Extension, node: Node): vscode.TreeItem {
  const { Collapsed, Expanded, None } = vscode.TreeItemCollapsibleState;
  const { view } = extension.overlay;
  const { many } = unitWords[view?.unit ?? "word"];
  // A stable id keeps a part expanded or collapsed when the mode changes.
  const part = (id: string, label: string, state: vscode.TreeItemCollapsibleState): vscode.TreeItem =>
    Object.assign(new vscode.TreeItem(label, state), { id });
  switch (node.kind) {
    case "busy":
      return Object.assign(part("busy", "Reading…", None), { iconPath: new vscode.ThemeIcon("sync~spin") });
    case "scale":
      return part("scale", "Scale", Collapsed);
    case "means":
      return part("means", "Means", Collapsed);
    case "pairs":
      return part("pairs", "Pairs", Expanded);
    case "pair":
      return pairItem(node.pair, node.summary);
    case "strongest":
      return part("strongest", `Strongest ${many}`, node.count === 0 ? Collapsed : Expanded);
    case "legend": {
      const item = new vscode.TreeItem(node.entry.range);
      item.description = node.entry.cue;
      item.iconPath = new vscode.ThemeIcon("circle-filled", themeColor(node.entry.step));
      return item;
    }
    case "mean":
      return meanItem(extension, node.part, node.summary);
    case "token":
      return tokenItem(extension, node.token, node.summary);
  }
}

/** A row such as `+0.31`, with `paragraph, line 3, 24 words`; a click goes to the part. */
function meanItem({ overlay }: Extension, part: PartMean, { document, limit }: Summary): vscode.TreeItem {
  const mode = overlay.mode?.kind ?? "learned";
  const { one, many } = unitWords[overlay.view?.unit ?? "word"];
  const range = rangeOf(document, part);
  const value = part.mean === null ? "no value" : withUnit(part.mean, mode);
  const { Collapsed, None } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(value, part.passage === undefined || part.count === 0 ? None : Collapsed);
  const counted = `${part.count} ${part.count === 1 ? one : many}`;
  item.description = `${part.name}, line ${range.start.line + 1}, ${counted}`;
  item.accessibilityInformation = { label: `mean ${spoken(value)}, ${item.description}` };
  item.iconPath = iconOf(part.mean, limit ?? 1, mode);
  item.command = {
    command: "vscode.open",
    title: `Go to ${part.name}`,
    arguments: [document.uri, { selection: range }],
  };
  return item;
}

/** A row such as `+0.31 nats`, with `line 3, learned as given`; a click goes to the record. */
function pairItem({ line, result }: ReadPairRecord, { document }: Summary): vscode.TreeItem {
  const isRead = result.kind === "read";
  const value = isRead ? `${signed(result.margin)} nats` : "no margin";
  const item = new vscode.TreeItem(value);
  const learned = isRead ? (result.margin > 0 ? "learned as given" : "learned the other way") : result.why;
  item.description = `line ${line + 1}, ${learned}`;
  item.accessibilityInformation = { label: `margin ${spoken(value)}, ${item.description}` };
  item.iconPath = new vscode.ThemeIcon(isRead ? (result.margin > 0 ? "check" : "warning") : "circle-slash");
  const selection = new vscode.Range(line, 0, line, 0);
  item.command = { command: "vscode.open", title: "Go to the pair", arguments: [document.uri, { selection }] };
  return item;
}

function tokenItem({ overlay }: Extension, token: StrongToken, { document, limit }: Summary): vscode.TreeItem {
  const item = new vscode.TreeItem(isolated(token.text.trim()));
  const range = wordRangeOf(document, token);
  const line = range.start.line + 1;
  const mode = overlay.mode?.kind ?? "learned";
  const value = withUnit(token.value, mode);
  item.description = `${value}, line ${line}`;
  item.accessibilityInformation = { label: `${token.text.trim()}, ${spoken(value)}, line ${line}` };
  item.iconPath = iconOf(token.value, limit ?? 1, mode);
  item.command = { command: "vscode.open", title: "Go to it", arguments: [document.uri, { selection: range }] };
  return item;
}

function spoken(value: string): string {
  return value.replace("−", "minus ");
}

/** A dot in the value's colour, or a ring if it has none: a dot without colour would look like the strongest value. */
function iconOf(...value: Parameters<typeof stepFor>): vscode.ThemeIcon {
  const step = stepFor(...value);
  return step === undefined
    ? new vscode.ThemeIcon("circle-outline")
    : new vscode.ThemeIcon("circle-filled", themeColor(step));
}
