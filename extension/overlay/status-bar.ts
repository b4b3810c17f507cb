/** The overlay's status bar item: the meaning of the colours, their summary, and errors if there are any. */
import * as vscode from "vscode";
import { ablationInWords } from "../../server/protocol/ablation.ts";
import type { LensMode } from "../../server/protocol/lens.ts";
import type { LensTarget } from "../../server/protocol/lens-state.ts";
import { problemSource } from "../../server/protocol/problems.ts";
import type { Extension } from "../context.ts";
import { canBeRead, isReadable, onDidChangeReadable, rangeOf } from "../documents.ts";
import { countsWords } from "../pairs/pair-text.ts";
import { plainMarkdown } from "../plain-markdown.ts";
import { legendMarkdown } from "./legend.ts";
import { modeLabel, withUnit } from "./modes.ts";
import type { Summary } from "./summary.ts";
import { whyUnread } from "./unread-document.ts";

/** What the item shows. */
interface Look {
  readonly icon: string;
  readonly text: string;
  readonly command: `lfpLens.${string}`;
  readonly tooltip: vscode.MarkdownString;
  readonly isError?: boolean;
}

export function createStatusBar(extension: Extension): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("lfpLens.status", vscode.StatusBarAlignment.Right, 100);
  item.name = "LFP Lens";
  const update = (): void => {
    const look = lookOf(extension);
    if (look === undefined) {
      item.hide();
      return;
    }
    item.text = `$(${look.icon}) ${look.text}`;
    item.command = look.command;
    item.tooltip = look.tooltip;
    item.backgroundColor = look.isError ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
    item.accessibilityInformation = { label: `LFP Lens: ${look.text.replaceAll("−", "minus ")}` };
    item.show();
  };
  update();
  return vscode.Disposable.from(
    item,
    extension.summaries.onDidChange(update),
    extension.pairCounts.onDidChange(update),
    extension.server.onDidChangeState(update),
    extension.onDidChangeLens(update),
    extension.ablation.onDidChange(update),
    vscode.languages.onDidChangeDiagnostics(update),
    onDidChangeReadable(update),
  );
}

function lookOf(extension: Extension): Look | undefined {
  const { server, overlay, lens } = extension;
  if (server.state.kind === "down") {
    const tooltip = plain(`${server.state.why} Choose this to restart it or to see its log.`);
    return { icon: "error", text: "LFP Lens stopped", command: "lfpLens.serverProblem", tooltip, isError: true };
  }
  const summary = extension.summaries.current;
  if (overlay.mode === undefined) {
    const document = vscode.window.activeTextEditor?.document;
    if (document === undefined || !isReadable(document)) return undefined;
    return {
      icon: "search",
      text: "LFP Lens",
      command: "lfpLens.showReward",
      tooltip: plain("Show what reward the model has learned"),
    };
  }
  const label = modeLabel(overlay.mode, lens);
  const command = "lfpLens.chooseMode";
  if (server.state.kind === "restarting")
    return {
      icon: "sync~spin",
      text: `${label}: server is restarting`,
      command,
      tooltip: plain("The analysis server ended by itself."),
    };
  const document = vscode.window.activeTextEditor?.document;
  if (document !== undefined && canBeRead(document))
    return {
      icon: "circle-slash",
      text: "LFP Lens: not read",
      command: "lfpLens.readAnyway",
      tooltip: plain(whyUnread(document)),
    };
  // Before the server has answered a reading it is unknown whether there is a run.
  if (lens.kind === "none" && summary?.failure !== undefined)
    return {
      icon: "search",
      text: "LFP Lens: no run",
      command: "lfpLens.chooseRun",
      tooltip: plain(summary.failure),
    };
  if (lens.kind === "failed")
    return {
      icon: "warning",
      text: `LFP Lens: ${failedTargets[lens.target.kind].what} failed to open`,
      command: failedTargets[lens.target.kind].command,
      tooltip: plain(lens.failure.message),
    };
  if (summary === undefined) return undefined;
  if (summary.failure !== undefined)
    return { icon: "warning", text: `${label}: not read`, command, tooltip: plain(summary.failure) };
  const isBusy = summary.isReading || lens.kind === "opening";
  const text = [
    label,
    extension.selected.of(summary.document) === undefined ? undefined : "selection",
    ...factsOf(extension, summary, overlay.mode.kind),
    ablationInWords(overlay.view?.ablation ?? null),
  ]
    .filter((part) => part !== undefined)
    .join(" · ");
  const icon = isBusy ? "sync~spin" : summary.unread.length > 0 ? "warning" : "search";
  return { icon, text, command, tooltip: legendMarkdown(extension, summary) };
}

/** What could not be opened, and the command that chooses something else. */
const failedTargets: {
  readonly [K in LensTarget["kind"]]: { readonly what: string; readonly command: `lfpLens.${string}` };
} = {
  run: { what: "run", command: "lfpLens.chooseRun" },
  pair: { what: "checkpoints", command: "lfpLens.compareCheckpoints" },
  difference: { what: "runs", command: "lfpLens.closeDifference" },
};

/** `mean +0.31`, or of a preference file what was learned about its pairs; `1 problem`. */
function factsOf(
  { pairCounts, selected }: Extension,
  { mean, document, unread }: Summary,
  mode: LensMode["kind"],
): string[] {
  const parts = selected.of(document)?.map((part) => rangeOf(document, part));
  const problems = vscode.languages
    .getDiagnostics(document.uri)
    .filter(({ source }) => source === problemSource)
    .filter(({ range }) => parts?.some((part) => part.contains(range)) ?? true).length;
  const pairs = pairCounts.of(document);
  return [
    ...(pairs === undefined ? [] : [countsWords({ ...pairs, unread: 0 })]),
    ...(mean === null || pairs !== undefined ? [] : [`mean ${withUnit(mean, mode)}`]),
    ...(unread.length === 0 ? [] : [`${unread.length} ${unread.length === 1 ? "passage" : "passages"} not read`]),
    ...(problems === 0 ? [] : [`${problems} ${problems === 1 ? "problem" : "problems"}`]),
  ];
}

function plain(text: string): vscode.MarkdownString {
  return new vscode.MarkdownString(text.split(/\n+/).map(plainMarkdown).join("\n\n"));
}
