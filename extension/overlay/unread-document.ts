/** What is said and offered where the document in front is not read. */
import * as vscode from "vscode";
import * as z from "zod";
import type { Extension } from "../context.ts";
import { canBeRead, isReadable, onDidChangeReadable, readInAnyLanguage } from "../documents.ts";
import { readSetting, section } from "../settings.ts";

/** Why a document is not read, or that none is open. */
export function whyUnread(document: vscode.TextDocument | undefined): string {
  if (document === undefined) return "No text is open in an editor.";
  if (!canBeRead(document)) return "What is open in the editor is not a text that LFP Lens reads.";
  return `${languageName(document)} is none of the languages that LFP Lens reads (the setting ${section}.languages).`;
}

/** Offers to read the document in front although its language is not among those that are read, or to open a sample. */
export async function offerToRead(): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  const sample = "Open a Sample Text";
  if (document === undefined || !canBeRead(document)) {
    const chosen = await vscode.window.showInformationMessage(`LFP Lens: ${whyUnread(document)}`, sample);
    if (chosen === sample) await openSample();
    return;
  }
  const name = languageName(document);
  const [once, always] = [`Read This ${name} File Anyway`, `Always Read ${name}`];
  const chosen = await vscode.window.showInformationMessage(`LFP Lens: ${whyUnread(document)}`, once, always, sample);
  if (chosen === once) readInAnyLanguage(document);
  else if (chosen === always) await addLanguage(document.languageId);
  else if (chosen === sample) await openSample();
}

/** Keeps VS Code's context keys for whether the document in front is read, and whether only a selection of it is. */
export function tellReadable({ selected }: Pick<Extension, "selected">): vscode.Disposable {
  const tell = (): void => {
    const document = vscode.window.activeTextEditor?.document;
    const isRead = document !== undefined && isReadable(document);
    const isPart = document !== undefined && selected.of(document) !== undefined;
    void vscode.commands.executeCommand("setContext", "lfpLens.readable", isRead);
    void vscode.commands.executeCommand("setContext", "lfpLens.readsSelection", isPart);
  };
  tell();
  return vscode.Disposable.from(
    vscode.window.onDidChangeActiveTextEditor(tell),
    onDidChangeReadable(tell),
    selected.onDidChange(tell),
  );
}

/** Adds a language to the setting, in the scope in which it is made, or else in the user's settings. */
async function addLanguage(language: string): Promise<void> {
  const configuration = vscode.workspace.getConfiguration(section);
  const { workspaceValue } = configuration.inspect("languages") ?? {};
  const { Global, Workspace } = vscode.ConfigurationTarget;
  const scope = workspaceValue === undefined ? Global : Workspace;
  await configuration.update("languages", [...new Set([...readSetting("languages"), language])], scope);
}

async function openSample(): Promise<void> {
  await vscode.window.showTextDocument(
    await vscode.workspace.openTextDocument({ language: "plaintext", content: SAMPLE }),
  );
}

const SAMPLE = `I loved the first half: a great cast, a precious script, and music that is a delight.
Then it turns weak, the jokes are awful, and the ending is dreadful.

Still, it is beautifully shot and marvelous to listen to. A pity about the boring middle.
`;

/** A language's name as VS Code shows it: the first alias that an extension gives it. */
function languageName({ languageId }: vscode.TextDocument): string {
  for (const { packageJSON } of vscode.extensions.all) {
    const { contributes } = contributions.parse(packageJSON);
    const found = contributes.languages.find(({ id, aliases }) => id === languageId && aliases.length > 0);
    if (found !== undefined) return found.aliases[0] ?? languageId;
  }
  return languageId;
}

const contributions = z.object({
  contributes: z
    .object({
      languages: z.array(z.object({ id: z.string().catch(""), aliases: z.array(z.string()).catch([]) })).catch([]),
    })
    .catch({ languages: [] }),
});
