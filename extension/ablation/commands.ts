/** Commands of ablation sets. */
import * as vscode from "vscode";
import { ablateFeature } from "../../server/protocol/commands.ts";
import type { Extension } from "../context.ts";
import { askForFeature } from "../features/ask-for-feature.ts";
import { ABLATION_FILES, nameOf } from "./choice.ts";

export const ablationCommands = {
  "lfpLens.chooseAblation": chooseAblation,
  "lfpLens.openAblation": openAblation,
  [ablateFeature.id]: ablate,
} as const;

async function chooseAblation({ ablation }: Extension): Promise<void> {
  const files = await vscode.workspace.findFiles(ABLATION_FILES, "**/node_modules/**", 500);
  const items = files
    .map((uri) => ({
      label: `${uri.toString() === ablation.uri?.toString() ? "$(check) " : ""}${nameOf(uri)}`,
      description: vscode.workspace.asRelativePath(uri),
      uri,
    }))
    .sort((one, other) => one.description.localeCompare(other.description));
  const none = { label: "$(circle-slash) Nothing ablated", description: "", uri: undefined };
  const chosen = await vscode.window.showQuickPick([none, ...items], {
    title: "LFP Lens: the active ablation set",
    placeHolder:
      items.length === 0
        ? "No *.lfp-ablation.json in this workspace yet"
        : "Applied to colours, hovers and completions",
  });
  if (chosen !== undefined) await ablation.choose(chosen.uri);
}

async function openAblation({ ablation }: Extension): Promise<void> {
  if (ablation.uri === undefined)
    throw new Error("No ablation set is active: choose one, or ablate a feature from a hover.");
  await vscode.window.showTextDocument(ablation.uri);
}

/** Ablates the feature that a hover or quick fix passes; run from the palette, asks which. */
async function ablate({ ablation }: Extension, given?: unknown): Promise<void> {
  const parsed = ablateFeature.argument.safeParse(given);
  const id = parsed.success ? parsed.data.id : await askForFeature("LFP Lens: the feature to ablate");
  if (id === undefined) return;
  await ablation.add(id, 0);
  const name = ablation.uri === undefined ? "" : ` in ${nameOf(ablation.uri)}`;
  vscode.window.setStatusBarMessage(`${id} is ablated${name}`, 5000);
}
