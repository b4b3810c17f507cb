/** Commands of ablation sets. */
import * as vscode from "vscode";
import { ablateFeature } from "../../server/protocol/commands.ts";
import type { Extension } from "../context.ts";
import { askForFeature } from "../features/ask-for-feature.ts";
import { ABLATION_FILES } from "./choice.ts";
import { parseAblation } from "./file.ts";
import { nameOf, readSetFile } from "./set-file.ts";
import { offerRunOfSet } from "./set-run.ts";

export const ablationCommands = {
  "lfpLens.chooseAblation": chooseAblation,
  "lfpLens.openAblation": openAblation,
  "lfpLens.toggleAblation": toggleAblation,
  [ablateFeature.id]: ablate,
} as const;

async function chooseAblation(extension: Extension): Promise<void> {
  const { ablation } = extension;
  const files = await vscode.workspace.findFiles(ABLATION_FILES, "**/node_modules/**", 500);
  const items = await Promise.all(files.map(async (uri) => await itemOf(uri, ablation.uri)));
  items.sort((one, other) => one.detail.localeCompare(other.detail));
  const none = { label: "$(circle-slash) Nothing ablated", description: "", detail: "", uri: undefined };
  const chosen = await vscode.window.showQuickPick([none, ...items], {
    title: "LFP Lens: the active ablation set",
    placeHolder:
      items.length === 0
        ? "No *.lfp-ablation.json in this workspace yet: ablate a feature from a hover or its page"
        : "Applied to colours, hovers and completions, where it belongs to the run that is looked through",
    matchOnDescription: true,
  });
  if (chosen === undefined) return;
  await ablation.choose(chosen.uri);
  await offerRunOfSet(extension);
}

/** A set by the name that it has or else its file's, with its run and features; the folder only where there is one. */
async function itemOf(uri: vscode.Uri, active: vscode.Uri | undefined) {
  const parsed = parseAblation((await readSetFile(uri)) ?? "");
  const path = vscode.workspace.asRelativePath(uri);
  const tick = uri.toString() === active?.toString() ? "$(check) " : "";
  if (!parsed.ok) return { label: `${tick}${nameOf(uri)}`, description: parsed.problem, detail: path, uri };
  const { features, run, name } = parsed.set;
  const count = `${features.length} ${features.length === 1 ? "feature" : "features"}`;
  const description = `${count} of ${run?.name ?? "a run that it does not name"}`;
  return { label: `${tick}${name === "" ? nameOf(uri) : name}`, description, detail: path, uri };
}

async function openAblation({ ablation }: Extension): Promise<void> {
  if (ablation.uri === undefined)
    throw new Error("No ablation set is active: choose one, or ablate a feature from a hover.");
  await vscode.window.showTextDocument(ablation.uri);
}

/** Switches the whole active set off, or on again; says so if it does not act all the same. */
async function toggleAblation(extension: Extension): Promise<void> {
  const { ablation } = extension;
  if (ablation.uri === undefined)
    throw new Error("No ablation set is active: choose one, or ablate a feature from a hover.");
  await ablation.switch(ablation.state.kind === "off");
  if (ablation.state.kind === "otherRun") await offerRunOfSet(extension);
}

/** Ablates the feature that a hover or quick fix passes; run from the palette, asks which. */
async function ablate(extension: Extension, given?: unknown): Promise<void> {
  const { ablation } = extension;
  const told = ablateFeature.argument.safeParse(given);
  const id = told.success ? told.data.id : await askForFeature("LFP Lens: the feature to ablate");
  if (id === undefined) return;
  const asked = told.success && told.data.runFolder !== "" ? told.data.runFolder : await extension.featuresRun();
  if (asked === undefined) throw new Error("No finished run with features is open: choose a run first.");
  await ablation.add({ runFolder: asked, id }, 0);
  const where = ablation.uri === undefined ? "" : ` in ${nameOf(ablation.uri)}`;
  const idle = ablation.idle === undefined ? "" : `; ${ablation.idle}`;
  vscode.window.setStatusBarMessage(`${id} is ablated${where}${idle}`, 8000);
}
