/** The Runs view: runs and sweeps of runs, and under each run its stages. */
import { basename } from "node:path";
import * as vscode from "vscode";
import type { RunView, StageView } from "../../server/protocol/runs.ts";
import { slug } from "../../server/protocol/slug.ts";
import { RowChanges } from "./row-changes.ts";
import { isActive, type RunStateKind, runContext, runDescription, runSentence, stageDescription } from "./run-text.ts";
import type { RunsModel } from "./runs-model.ts";
import {
  type KnownSweep,
  type SweepState,
  sweepContext,
  sweepDescription,
  sweepSentence,
  sweepState,
} from "./sweep-text.ts";

/** A row of the tree; its numbers come from the model when VS Code draws it. */
export type RunsNode =
  | { readonly kind: "run"; readonly folder: string }
  /** `sweep` is its folder; `folder` is that of a run, which commands on runs look for. */
  | { readonly kind: "sweep"; readonly sweep: string }
  | { readonly kind: "stage"; readonly folder: string; readonly stage: string }
  /** A folder that is left out, because no run can have its name. */
  | { readonly kind: "misnamed"; readonly folder: string };

/** The rows of the view. */
export class RunsTree implements vscode.TreeDataProvider<RunsNode>, vscode.Disposable {
  readonly #model: RunsModel;
  readonly #changed = new vscode.EventEmitter<RunsNode | RunsNode[] | undefined>();
  readonly #nodes = new Map<string, RunsNode>();
  readonly #changes = new RowChanges();
  /** What was drawn last of each sweep, by its folder. */
  readonly #drawnSweeps = new Map<string, string>();
  readonly #listening: vscode.Disposable;

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(model: RunsModel) {
    this.#model = model;
    this.#listening = model.onDidChange((folders) =>
      this.#changed.fire(folders?.flatMap((folder) => this.#changedNodes(folder))),
    );
  }

  async getChildren(node?: RunsNode): Promise<RunsNode[]> {
    if (node === undefined) {
      await this.#model.all();
      const rows = this.#model
        .rows()
        .map((row) => ("runs" in row ? this.#sweepNode(row.sweep.folder) : this.#runNode(row.folder)));
      return [...rows, ...this.#model.misnamed.map((folder) => this.#same(folder, { kind: "misnamed", folder }))];
    }
    if (node.kind === "sweep")
      return (this.#model.sweep(node.sweep)?.runs ?? []).map(({ folder }) => this.#runNode(folder));
    if (node.kind !== "run") return [];
    const stages = this.#model.get(node.folder)?.stages ?? [];
    return stages.map(({ id }) => this.#stageNode(node.folder, id));
  }

  getTreeItem(node: RunsNode): vscode.TreeItem {
    if (node.kind === "misnamed") return misnamedItem(node.folder);
    if (node.kind === "sweep") {
      const known = this.#model.sweep(node.sweep);
      if (known === undefined) return new vscode.TreeItem(basename(node.sweep));
      this.#drawnSweeps.set(node.sweep, lookOf(known));
      return sweepItem(known);
    }
    const run = this.#model.get(node.folder);
    if (node.kind === "run") return run === undefined ? new vscode.TreeItem(node.folder) : runItem(run);
    const stage = run?.stages.find(({ id }) => id === node.stage);
    return stage === undefined ? new vscode.TreeItem(node.stage) : stageItem(node.folder, stage);
  }

  getParent(node: RunsNode): RunsNode | undefined {
    if (node.kind === "stage") return this.#runNode(node.folder);
    const sweep = node.kind === "run" ? (this.#model.get(node.folder)?.sweep ?? null) : null;
    return sweep === null ? undefined : this.#sweepNode(sweep);
  }

  runNode(folder: string): RunsNode {
    return this.#runNode(folder);
  }

  dispose(): void {
    this.#listening.dispose();
    this.#changed.dispose();
  }

  #changedNodes(folder: string): RunsNode[] {
    const run = this.#model.get(folder);
    const changed = run === undefined ? "run" : this.#changes.of(run, performance.now());
    const sweep = this.#changedSweep(run?.sweep ?? null);
    if (sweep !== undefined) return [sweep];
    return changed === "run" ? [this.#runNode(folder)] : changed.map((stage) => this.#stageNode(folder, stage));
  }

  /** A sweep's row if it says something else by now; drawing it draws its runs, too. */
  #changedSweep(folder: string | null): RunsNode | undefined {
    const known = folder === null ? undefined : this.#model.sweep(folder);
    if (known === undefined || this.#drawnSweeps.get(known.sweep.folder) === lookOf(known)) return undefined;
    return this.#sweepNode(known.sweep.folder);
  }

  #sweepNode(folder: string): RunsNode {
    return this.#same(`sweep:${folder}`, { kind: "sweep", sweep: folder });
  }

  #runNode(folder: string): RunsNode {
    return this.#same(folder, { kind: "run", folder });
  }

  #stageNode(folder: string, stage: string): RunsNode {
    return this.#same(`${folder}/${stage}`, { kind: "stage", folder, stage });
  }

  /** Returns the same object for the same row, because VS Code recognises rows by identity. */
  #same(key: string, node: RunsNode): RunsNode {
    const known = this.#nodes.get(key) ?? node;
    this.#nodes.set(key, known);
    return known;
  }
}

function runItem(run: RunView): vscode.TreeItem {
  const { kind } = run.state;
  // Stages of a sweep's runs would bury the other runs.
  const isOpen = run.sweep === null && (isActive(run.state) || kind === "failed");
  const { None, Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const fold = run.stages.length === 0 ? None : isOpen ? Expanded : Collapsed;
  const item = new vscode.TreeItem(run.name, fold);
  const sentence = runSentence(run);
  // VS Code remembers by id whether a row was collapsed. A run that starts or ends gets a new id, which expands or
  // collapses its stages.
  item.id = `${run.folder}:${fold}`;
  item.description = runDescription(run, new Date());
  item.iconPath = icons[kind];
  item.tooltip = `${sentence}\n${run.folder}`;
  item.contextValue = runContext(run);
  item.accessibilityInformation = { label: sentence };
  return item;
}

/** What a sweep's row shows. */
function lookOf(known: KnownSweep): string {
  return `${sweepContext(known)} ${sweepSentence(known)}`;
}

function sweepItem(known: KnownSweep): vscode.TreeItem {
  const { folder, name } = known.sweep;
  const state = sweepState(known);
  const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const fold = state === "active" ? Expanded : Collapsed;
  const item = new vscode.TreeItem(name, fold);
  const sentence = sweepSentence(known);
  item.id = `sweep:${folder}:${fold}`;
  item.description = sweepDescription(known);
  item.iconPath = sweepIcons[state];
  item.tooltip = `${sentence}\n${folder}`;
  item.contextValue = sweepContext(known);
  item.accessibilityInformation = { label: sentence };
  return item;
}

/** A row that says why a folder is no run, and what to do. */
function misnamedItem(folder: string): vscode.TreeItem {
  const item = new vscode.TreeItem(basename(folder));
  const why = "left out: a run's folder is named with a-z, 0-9 and hyphens";
  item.id = `misnamed:${folder}`;
  item.description = why;
  item.iconPath = icons.unreadable;
  item.tooltip = `${folder} is ${why}. Rename it, for instance to ${slug(basename(folder))}.`;
  item.contextValue = "misnamed";
  item.accessibilityInformation = { label: `${basename(folder)}, ${why}` };
  return item;
}

function stageItem(folder: string, stage: StageView): vscode.TreeItem {
  const item = new vscode.TreeItem(stage.id);
  const description = stageDescription(stage);
  item.id = `${folder}/${stage.id}`;
  item.description = description;
  item.iconPath = stageIcons[stage.status];
  item.tooltip = description === "" ? stage.id : `${stage.id}: ${description}`;
  item.contextValue = "stage";
  item.accessibilityInformation = {
    label: `${stage.id}: ${stageWords[stage.status]}${description === "" ? "" : `, ${description}`}`,
  };
  return item;
}

const icon = (name: string, colour?: string): vscode.ThemeIcon =>
  new vscode.ThemeIcon(name, colour === undefined ? undefined : new vscode.ThemeColor(colour));

const icons: Readonly<Record<RunStateKind, vscode.ThemeIcon>> = {
  running: icon("loading~spin", "charts.blue"),
  waiting: icon("clock"),
  done: icon("check", "testing.iconPassed"),
  failed: icon("error", "testing.iconFailed"),
  cancelled: icon("circle-slash"),
  interrupted: icon("debug-pause", "charts.orange"),
  new: icon("circle-outline"),
  unreadable: icon("warning", "list.warningForeground"),
};

const sweepIcons: Readonly<Record<SweepState, vscode.ThemeIcon>> = {
  active: icon("loading~spin", "charts.blue"),
  done: icon("check-all", "testing.iconPassed"),
  failed: icon("error", "testing.iconFailed"),
  unfinished: icon("debug-pause", "charts.orange"),
};

const stageIcons: Readonly<Record<StageView["status"], vscode.ThemeIcon>> = {
  todo: icon("circle-outline", "descriptionForeground"),
  running: icon("loading~spin", "charts.blue"),
  reused: icon("check", "testing.iconPassed"),
  done: icon("check", "testing.iconPassed"),
  failed: icon("error", "testing.iconFailed"),
};

const stageWords: Readonly<Record<StageView["status"], string>> = {
  todo: "to do",
  running: "running",
  reused: "done before",
  done: "done",
  failed: "failed",
};
