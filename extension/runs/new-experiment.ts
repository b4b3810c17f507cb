/** "New Experiment": asks three questions and writes a file with these answers only. */
import { readFile } from "node:fs/promises";
import * as vscode from "vscode";
import * as z from "zod";
import { slug } from "../../server/protocol/slug.ts";
import type { Extension } from "../context.ts";
import { freeName } from "./names.ts";

/** The parts of the experiment schema that the questions use. */
const schemaParts = z.object({
  properties: z.object({
    preset: z.object({ enum: z.array(z.string()), enumDescriptions: z.array(z.string()) }),
    name: z.object({ pattern: z.string() }),
  }),
});

export async function newExperiment(extension: Extension): Promise<void> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length === 0) {
    void vscode.window.showInformationMessage(
      "LFP Lens: an experiment is a file of the workspace. Open a folder first.",
    );
    return;
  }
  const folder = await folderFor(folders);
  if (folder === undefined) return;
  const taken = [...(await extension.runs.model.all()).map((run) => run.name), ...(await experimentsIn(folder))];
  const { preset: presets, name: names } = await readSchema(extension);
  const preset = await vscode.window.showQuickPick(
    presets.enum.map((label, at) => ({ label, detail: presets.enumDescriptions[at] ?? "" })),
    { title: "New Experiment (1/3)", placeHolder: "Which preset does it start from?" },
  );
  if (preset === undefined) return;
  const model = await vscode.window.showInputBox({
    title: "New Experiment (2/3)",
    prompt: "Base model: a folder (./my-model) or a Hugging Face id. Leave it empty for the preset's.",
    placeHolder: "the preset's model",
  });
  if (model === undefined) return;
  const name = await vscode.window.showInputBox({
    title: "New Experiment (3/3)",
    prompt: "Name of the run's folder",
    value: freeName(nameFrom(model === "" ? preset.label : model), taken),
    validateInput: (text) =>
      new RegExp(names.pattern).test(text)
        ? undefined
        : "Lower-case letters, digits and hyphens, 64 at most, a letter or digit first.",
  });
  if (name === undefined) return;
  await openFile(vscode.Uri.joinPath(folder, `${name}.lfp-experiment.json`), {
    preset: preset.label,
    name,
    ...(model === "" ? {} : { model }),
  });
}

/** The only folder of the workspace, or the one that the person picks. */
async function folderFor(folders: readonly vscode.WorkspaceFolder[]): Promise<vscode.Uri | undefined> {
  if (folders.length === 1) return folders[0]?.uri;
  return (await vscode.window.showWorkspaceFolderPick({ placeHolder: "In which folder is the experiment kept?" }))?.uri;
}

/** The names of the experiment files in a folder. */
async function experimentsIn(folder: vscode.Uri): Promise<string[]> {
  const ending = ".lfp-experiment.json";
  const entries = await vscode.workspace.fs.readDirectory(folder);
  return entries.flatMap(([name]) => (name.endsWith(ending) ? [name.slice(0, -ending.length)] : []));
}

/** Opens the experiment file, writing it first unless it exists. */
async function openFile(uri: vscode.Uri, experiment: Readonly<Record<string, string>>): Promise<void> {
  const exists = await vscode.workspace.fs.stat(uri).then(
    () => true,
    () => false,
  );
  if (!exists)
    await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(`${JSON.stringify(experiment, undefined, 2)}\n`));
  await vscode.window.showTextDocument(uri);
}

async function readSchema({ vscode: context }: Extension) {
  const text = await readFile(context.asAbsolutePath("schemas/experiment.schema.json"), "utf8");
  return schemaParts.parse(JSON.parse(text)).properties;
}

/** `EleutherAI/pythia-70m` gives `pythia-70m`; `paper/pythia-70m/vader` gives `paper-pythia-70m-vader`. */
export function nameFrom(text: string): string {
  const last = text.startsWith("paper/") || text.startsWith("as-published/") ? text : (text.split("/").at(-1) ?? text);
  return slug(last.replace(/@.*$/, "")).slice(0, 64);
}
