/**
 * Commands that hovers and quick fixes run. Their arguments derive from documents and models, through the server, so
 * each command parses them first.
 */

import * as vscode from "vscode";
import * as z from "zod";
import { FeatureId } from "../server/protocol/ablation.ts";
import {
  ablateFeature,
  copyText,
  howToRead,
  ignoreWord,
  openFeature,
  showTokenFeatures,
} from "../server/protocol/commands.ts";
import { isolated } from "../server/protocol/isolated.ts";
import type { LensMode } from "../server/protocol/lens.ts";
import type { Extension } from "./context.ts";
import { runInfoOf } from "./looked-through.ts";
import { signed } from "./overlay/scale.ts";

export const featureCommands = {
  [openFeature.id]: open,
  "lfpLens.nextFeature": (extension: Extension) => goTo(extension, "next"),
  "lfpLens.previousFeature": (extension: Extension) => goTo(extension, "previous"),
  [showTokenFeatures.id]: showFeatures,
  [ignoreWord.id]: ignore,
  "lfpLens.editIgnored": editIgnored,
  [copyText.id]: async (_: Extension, given?: unknown) =>
    vscode.env.clipboard.writeText(copyText.argument.parse(given).text),
  [howToRead.id]: ({ vscode: context }: Extension) =>
    vscode.commands.executeCommand(
      "markdown.showPreview",
      vscode.Uri.joinPath(context.extensionUri, "docs", "editor.md").with({ fragment: HOW_TO_READ }),
    ),
} as const;

/** Heading of docs/editor.md, as Markdown's preview names it. */
export const HOW_TO_READ = "how-to-read-the-numbers";

const MOST_FEATURES = 50;

/** The list of the view in which a feature was clicked. */
const Clicked = z.object({ list: z.array(FeatureId) });
/** Two clicks within this time on one feature are a double click, which VS Code does not tell of. */
const DOUBLE_CLICK_MS = 500;
let lastClick = { key: "", atMs: Number.NEGATIVE_INFINITY };

/** Opens a feature's page as a preview; from the view, with a double click, in a tab that stays. */
async function open(extension: Extension, given?: unknown, from?: unknown): Promise<void> {
  const { id, ...place } = openFeature.argument.parse(given);
  const runFolder = place.runFolder === "" ? await extension.featuresRun() : place.runFolder;
  if (runFolder === undefined) return;
  const clicked = Clicked.safeParse(from);
  const click = { key: `${runFolder} ${id}`, atMs: performance.now() };
  const isDouble = clicked.success && click.key === lastClick.key && click.atMs - lastClick.atMs < DOUBLE_CLICK_MS;
  lastClick = click;
  if (clicked.success) extension.featureOrder.note(runFolder, clicked.data.list);
  await extension.pages.show({ page: "feature", runFolder, id }, { preview: !isDouble });
}

/** Shows the next or previous feature of the list in the tab of the one in front. */
async function goTo({ pages, featureOrder }: Extension, way: "next" | "previous"): Promise<void> {
  const { active } = pages;
  if (active?.subject.page !== "feature") throw new Error("Open a feature first, from the view, the table or a hover.");
  const neighbours = await featureOrder.neighbours(active.subject);
  const id = neighbours[way];
  if (id === null) void vscode.window.setStatusBarMessage(`LFP Lens: no ${way} feature in the list`, 4000);
  else await active.panel.go({ ...active.subject, id });
}

/** Lists the features behind a token, for the user to pick one; without an argument, behind the token at the cursor. */
async function showFeatures(extension: Extension, given?: unknown): Promise<void> {
  const place = given === undefined ? placeOfCursor() : showTokenFeatures.argument.parse(given);
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(place.uri, true));
  const question = {
    uri: place.uri,
    version: document.version,
    offset: place.start,
    unit: "word" as const,
    ablation: extension.ablation.acting,
    features: MOST_FEATURES,
  };
  const { DescribeToken } = await import("../server/protocol/lens.ts");
  const detail = await extension.server.request(DescribeToken, question);
  if (detail === null) throw new Error("There is no word at this place.");
  const isFitted = isLogRatio(extension.overlay.mode?.kind) && detail.fitted !== null;
  const { contributions, rest: others, intercept } = isFitted && detail.fitted !== null ? detail.fitted : detail;
  const items = contributions.map(({ id, contribution, activation, weight, explanation }) => ({
    label: `${signed(contribution)}  ${id}`,
    description: `activation ${activation.toFixed(2)} × weight ${signed(weight)}`,
    ...(explanation === null ? {} : { detail: explanation }),
    id,
  }));
  const rest = `${others.count} others ${signed(others.contribution)}, constant ${signed(intercept)}`;
  const chosen = await vscode.window.showQuickPick(items, {
    title: `“${isolated(detail.text.trim())}”: ${isFitted ? `learned reward by features ${signed(detail.fitted?.value ?? 0)} nats` : `implicit reward ${signed(detail.implicit)}`}`,
    placeHolder: `${items.length} features by size; ${rest}`,
    matchOnDescription: true,
    matchOnDetail: true,
  });
  if (chosen !== undefined) await actOn(extension, chosen.id);
}

/** Whether the fit of log-ratios explains a mode's values; otherwise the probe does. */
function isLogRatio(kind: LensMode["kind"] | undefined): boolean {
  return kind === "learned" || kind === "fitted" || kind === "kl";
}

async function actOn({ overlay, lens }: Extension, id: string): Promise<void> {
  const runFolder = runInfoOf(lens)?.runFolder ?? "";
  const actions = [
    {
      label: "$(open-preview) Open its page",
      run: () => vscode.commands.executeCommand(openFeature.id, { runFolder, id }),
    },
    { label: "$(paintcan) Colour the text by it", run: () => overlay.show({ kind: "feature", id }) },
    {
      label: "$(circle-slash) Ablate it",
      run: () => vscode.commands.executeCommand(ablateFeature.id, { runFolder, id }),
    },
  ];
  const chosen = await vscode.window.showQuickPick(actions, { title: id });
  await chosen?.run();
}

function placeOfCursor(): { readonly uri: string; readonly start: number } {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) throw new Error("Put the cursor on a word first.");
  return { uri: editor.document.uri.toString(), start: editor.document.offsetAt(editor.selection.active) };
}

async function ignore({ ignored }: Extension, given?: unknown): Promise<void> {
  await ignored.add(ignoreWord.argument.parse(given));
}

async function editIgnored({ ignored }: Extension): Promise<void> {
  const items = ignored.words.map((word) => ({
    label: word.word,
    description: vscode.workspace.asRelativePath(vscode.Uri.parse(word.uri)),
    detail: word.passage === null ? "in the whole document" : "in one passage",
    picked: true,
    word,
  }));
  if (items.length === 0) throw new Error("No word is ignored. The quick fixes of a problem can ignore its word.");
  const kept = await vscode.window.showQuickPick(items, {
    title: "LFP Lens: ignored words",
    placeHolder: "Words without a tick are problems again",
    canPickMany: true,
  });
  if (kept === undefined) return;
  await ignored.remove(items.filter((item) => !kept.includes(item)).map(({ word }) => word));
}
