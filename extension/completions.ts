/** Completions of the tuned model before and after the active ablation, side by side in VS Code's own diff editor. */
import * as vscode from "vscode";
import type { z } from "zod";
import type { AblationSet } from "../server/protocol/ablation.ts";
import type { CompareCompletions } from "../server/protocol/lens.ts";
import { nameOf } from "./ablation/set-file.ts";
import type { Extension } from "./context.ts";
import { signed } from "./overlay/scale.ts";
import { readSetting } from "./settings.ts";

const SCHEME = "lfp-completions";
type Completions = z.output<typeof CompareCompletions.result>["completions"];

/** Texts before and after an ablation as documents that the diff editor can show. */
export class CompletionDocuments implements vscode.Disposable {
  readonly #texts = new Map<string, string>();
  readonly #registration: vscode.Disposable;
  #count = 0;

  constructor() {
    this.#registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
      provideTextDocumentContent: (uri) =>
        this.#texts.get(uri.path) ?? "These completions are no longer kept. Compare again.",
    });
  }

  /** Adds read-only documents of the two texts and returns their URIs. */
  add(before: string, after: string): readonly [before: vscode.Uri, after: vscode.Uri] {
    this.#count++;
    return [this.#add("before", before), this.#add("after", after)];
  }

  dispose(): void {
    this.#registration.dispose();
  }

  #add(side: string, text: string): vscode.Uri {
    const path = `/${this.#count}/${side}.txt`;
    this.#texts.set(path, text);
    return vscode.Uri.from({ scheme: SCHEME, path });
  }
}

/**
 * Continues the selection or the paragraph up to the cursor with and without the active set, and shows the difference.
 */
export async function compareCompletions(extension: Extension): Promise<void> {
  const { ablation } = extension;
  const { acting, uri, idle } = ablation;
  if (acting === null || uri === undefined)
    throw new Error(
      idle === undefined
        ? "No ablation set is active: choose one, or ablate a feature from a hover."
        : `${idle}. Choose a set of the run that is looked through.`,
    );
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) throw new Error("Open a text whose selection or paragraph is to be completed.");
  const prompts = promptsOf(editor);
  if (prompts.length === 0) throw new Error("There is no text before the cursor to complete.");
  await showCompletions(extension, {
    prompts,
    ablation: acting,
    title: `Completions: before and after ${nameOf(uri)}`,
  });
}

/** Samples from the same random numbers with and without the ablation, and opens the two texts in the diff editor. */
export async function showCompletions(
  { server, completions: documents }: Extension,
  asked: { readonly prompts: string[]; readonly ablation: AblationSet; readonly title: string },
): Promise<void> {
  const question = {
    prompts: asked.prompts,
    ablation: asked.ablation,
    maxNewTokens: readSetting("completions.maxNewTokens"),
    temperature: readSetting("completions.temperature"),
    seed: readSetting("completions.seed"),
  };
  const progress = {
    location: vscode.ProgressLocation.Notification,
    title: "LFP Lens: sampling completions",
    cancellable: true,
  };
  const { completions } = await vscode.window.withProgress(progress, async (_, token) =>
    server.request((await import("../server/protocol/lens.ts")).CompareCompletions, question, token),
  );
  const [before, after] = documents.add(textOf(completions, "before"), textOf(completions, "after"));
  await vscode.commands.executeCommand("vscode.diff", before, after, asked.title);
}

/** The selections; without one, the paragraph up to the cursor, or to the end of the word that it is in. */
export function promptsOf({ document, selections }: vscode.TextEditor): string[] {
  const selected = selections.filter(({ isEmpty }) => !isEmpty).map((selection) => document.getText(selection));
  if (selected.length > 0) return selected.slice(0, 32);
  const [cursor] = selections;
  if (cursor === undefined) return [];
  let first = cursor.active.line;
  while (first > 0 && !document.lineAt(first - 1).isEmptyOrWhitespace) first--;
  const end = wordEndAt(document, cursor.active);
  const text = document.getText(new vscode.Range(new vscode.Position(first, 0), end)).trimEnd();
  return text === "" ? [] : [text];
}

/** The end of the word that a position is within, so that no word is cut; elsewhere the position itself. */
function wordEndAt(document: vscode.TextDocument, position: vscode.Position): vscode.Position {
  const word = document.getWordRangeAtPosition(position, /[\p{L}\p{N}\p{M}’'-]+/u);
  return word?.start.isBefore(position) === true ? word.end : position;
}

/** Stands between a prompt and what the model made of it. */
export const PROMPT_END = " ▸";

/** The completions of one side as a text, each with its reward. */
export function textOf(completions: Completions, side: "before" | "after"): string {
  return completions
    .map((completion) => {
      const reward = side === "before" ? completion.rewardBefore : completion.rewardAfter;
      return `${completion.prompt}${PROMPT_END}${completion[side]}\n\n${reward === null ? "" : `reward ${signed(reward)}\n`}`;
    })
    .join("\n\n");
}
