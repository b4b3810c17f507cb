/** Commands on runs. */
import { isAbsolute, join, sep } from "node:path";
import * as vscode from "vscode";
import * as z from "zod";
import { isExperimentFile } from "../../server/protocol/problems.ts";
import { CancelRun, ResumeRun, type RunView, StartRun } from "../../server/protocol/runs.ts";
import type { Extension } from "../context.ts";
import { freeName } from "./names.ts";
import { nameFrom } from "./new-experiment.ts";
import { onlyOrPicked } from "./only-or-picked.ts";
import { runContext, runDescription, runSentence } from "./run-text.ts";
import { runsRoots } from "./runs-roots.ts";

/** Starts a preset or an experiment file in the first of the runs' folders, and shows the run in its view. */
export async function startRun(extension: Extension, experiment: string, runName: string): Promise<void> {
  if (runsRoots().length === 0) return askForFolder();
  const runsRoot = await rootFor(experiment);
  if (runsRoot === undefined) return;
  const name = await nameIn(extension, runsRoot, runName);
  if (name === undefined) return;
  const { folder } = await extension.server.request(StartRun, { experiment, runsRoot, name });
  extension.runs.model.refresh();
  await extension.runs.reveal(folder);
}

/** The folder of runs to use: the only one, that of the experiment's own workspace folder, or one that the person picks. */
export async function rootFor(experiment: string): Promise<string | undefined> {
  const roots = runsRoots();
  const own = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(experiment))?.uri.fsPath;
  const near = isAbsolute(experiment) && own !== undefined ? roots.filter((root) => isWithin(own, root)) : [];
  const fitting = near.length > 0 ? near : roots;
  const itemOf = (root: string) => ({ label: vscode.workspace.asRelativePath(root, true), description: root });
  return await onlyOrPicked(fitting, itemOf, "In which folder is the run kept?");
}

/**
 * The name to start under; null: the experiment's own. A run of that name is not gone over without a word; undefined if
 * the person leaves it.
 */
async function nameIn(extension: Extension, runsRoot: string, wanted: string): Promise<string | null | undefined> {
  const runs = await extension.runs.model.all();
  const there = runs.find(({ folder, state }) => folder === join(runsRoot, wanted) && state.kind !== "new");
  if (there === undefined) return null;
  const other = freeName(
    wanted,
    runs.map(({ name }) => name),
  );
  const [same, anew] = [`Go On With ${wanted}`, `Start as ${other}`];
  const detail = `${runSentence(there)}. To go on with it keeps what is done and unchanged, and replaces the rest.`;
  const answer = await vscode.window.showWarningMessage(
    `There is a run ${wanted} already.`,
    { modal: true, detail },
    same,
    anew,
  );
  return answer === same ? null : answer === anew ? other : undefined;
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}${sep}`);
}

/** The name of an experiment's run: the file's own, or that of its preset. */
async function runNameIn(uri: vscode.Uri): Promise<string> {
  const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
  try {
    const { name, preset } = z
      .looseObject({ name: z.string().catch(""), preset: z.string().catch("") })
      .parse(JSON.parse(text));
    return name === "" ? nameFrom(preset) : name;
  } catch {
    // The server says what is wrong with the file.
    return "";
  }
}

/** Starts the experiment file that a menu or the editor refers to, else one that the person picks. */
export async function startExperimentFile(extension: Extension, clicked: unknown): Promise<void> {
  const uri = clicked instanceof vscode.Uri ? clicked : (experimentInEditor() ?? (await pickExperimentFile()));
  if (uri === undefined) return;
  const document = vscode.workspace.textDocuments.find((open) => open.uri.toString() === uri.toString());
  if (document?.isDirty === true) await document.save();
  await startRun(extension, uri.fsPath, await runNameIn(uri));
}

export async function resumeRun(extension: Extension, clicked: unknown): Promise<void> {
  const run = await runOf(extension, clicked, /\bresumable\b/, "Which run goes on?");
  if (run === undefined) return;
  await extension.server.request(ResumeRun, { folder: run.folder });
  extension.runs.model.refresh();
}

export async function cancelRun(extension: Extension, clicked: unknown): Promise<void> {
  const run = await runOf(extension, clicked, /\bactive\b/, "Which run is to stop?");
  if (run !== undefined) await extension.server.request(CancelRun, { folder: run.folder });
}

export async function showRunOutput(extension: Extension, clicked: unknown): Promise<void> {
  const run = await runOf(extension, clicked, /\boutput\b/, "Output of which run?");
  if (run !== undefined) await extension.runs.outputs.show(run);
}

/** The words of `runContext` by which a run has each file. */
const fitFor = { "log.jsonl": /\bcurves\b/, "experiment.json": /\brun\b/ } as const;

export async function openRunFile(
  extension: Extension,
  clicked: unknown,
  file: "log.jsonl" | "experiment.json",
): Promise<void> {
  const run = await runOf(extension, clicked, fitFor[file], "Of which run?");
  if (run === undefined) return;
  await vscode.window.showTextDocument(vscode.Uri.file(join(run.folder, file)), { preview: true });
}

export async function openReportMarkdown(extension: Extension, clicked: unknown): Promise<void> {
  const folder = await pageRun(extension, "report", clicked);
  if (folder !== undefined) await extension.reports.show(folder);
}

export async function showRunPage(extension: Extension, page: "curves" | "report", clicked: unknown): Promise<void> {
  const runFolder = await pageRun(extension, page, clicked);
  if (runFolder !== undefined) await extension.pages.show({ page, runFolder });
}

/**
 * Folder of the run whose page to show. Without any report in the workspace, that of the lens's run: the bundled run
 * has a report.
 */
async function pageRun(extension: Extension, page: "curves" | "report", clicked: unknown): Promise<string | undefined> {
  const [fits, question] = runPages[page];
  if (page === "report" && folderOf(clicked) === undefined && (await fittingRuns(extension, fits)).length === 0)
    return await extension.lensRun();
  return (await runOf(extension, clicked, fits, question))?.folder;
}

const runPages = {
  curves: [/\bcurves\b/, "Curves of which run?"],
  report: [/\breport\b/, "Report of which run?"],
} as const;

async function fittingRuns(extension: Extension, fits: RegExp): Promise<RunView[]> {
  return (await extension.runs.model.all()).filter((run) => fits.test(runContext(run)));
}

/** The clicked run, else the only matching one, else one that the person picks. */
export async function runOf(
  extension: Extension,
  clicked: unknown,
  fits: RegExp,
  question: string,
): Promise<RunView | undefined> {
  const folder = folderOf(clicked);
  const fitting = await fittingRuns(extension, fits);
  const known = folder === undefined ? undefined : extension.runs.model.get(folder);
  if (known !== undefined) return known;
  if (fitting.length === 0) void vscode.window.showInformationMessage("LFP Lens: there is no run that this fits.");
  const itemOf = (run: RunView) => ({
    label: run.name,
    description: runDescription(run, new Date()),
    detail: run.folder,
  });
  return await onlyOrPicked(fitting, itemOf, question);
}

/** The folder of a run that a menu or another command names. */
export function folderOf(clicked: unknown): string | undefined {
  if (typeof clicked === "string") return clicked;
  if (typeof clicked !== "object" || clicked === null || !("folder" in clicked)) return undefined;
  return typeof clicked.folder === "string" ? clicked.folder : undefined;
}

function experimentInEditor(): vscode.Uri | undefined {
  const uri = vscode.window.activeTextEditor?.document.uri;
  return uri !== undefined && isExperimentFile(uri.path) ? uri : undefined;
}

async function pickExperimentFile(): Promise<vscode.Uri | undefined> {
  const found = await vscode.workspace.findFiles("**/*.lfp-experiment.json", "**/node_modules/**", 200);
  if (found.length === 0) {
    void vscode.window
      .showInformationMessage(
        "LFP Lens: the workspace has no experiment file (*.lfp-experiment.json) yet.",
        "New Experiment",
      )
      .then((answer) => {
        if (answer !== undefined) void vscode.commands.executeCommand("lfpLens.newExperiment");
      });
    return undefined;
  }
  const items = found.map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }));
  return (await vscode.window.showQuickPick(items, { placeHolder: "Which experiment?" }))?.uri;
}

async function askForFolder(): Promise<void> {
  const open = "Open Folder";
  const answer = await vscode.window.showInformationMessage(
    "LFP Lens: a run is kept in a folder of the workspace. Open one first.",
    open,
  );
  if (answer === open) await vscode.commands.executeCommand("workbench.action.files.openFolder");
}
