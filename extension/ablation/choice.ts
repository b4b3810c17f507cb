/**
 * The active ablation set. Sets are files of the workspace (`*.lfp-ablation.json`), so that people can keep, compare
 * and share them; the workspace state remembers which one is active. A change takes effect when the file is saved.
 */
import * as vscode from "vscode";
import type { AblationSet, FeatureId } from "../../server/protocol/ablation.ts";
import { AblationChanged } from "../../server/protocol/lens-state.ts";
import type { Extension } from "../context.ts";
import { messageOf } from "../server-failure.ts";
import { parseAblation, withFeature, withoutFeature } from "./file.ts";

const KEY = "lfpLens.activeAblation";
export const ABLATION_FILES = "**/*.lfp-ablation.json";

/** The workspace's active ablation set and its content. Remembers it, watches its file, and sends it to the server. */
export class AblationChoice implements vscode.Disposable {
  readonly #extension: Extension;
  readonly #changed = new vscode.EventEmitter<void>();
  #uri: vscode.Uri | undefined;
  #set: AblationSet | null = null;
  #problem: string | undefined;
  #watcher: vscode.Disposable | undefined;
  readonly #serverWatch: vscode.Disposable;

  /** Fires when the active set or its content changes. */
  readonly onDidChange = this.#changed.event;

  constructor(extension: Extension) {
    this.#extension = extension;
    this.#serverWatch = extension.server.onDidChangeState(({ kind }) => {
      if (kind === "running") this.#tell();
    });
    const remembered = extension.vscode.workspaceState.get<unknown>(KEY);
    if (typeof remembered === "string") void this.choose(vscode.Uri.parse(remembered));
    else this.#tellContext();
  }

  /** The active set; null if there is none or its file cannot be read. */
  get set(): AblationSet | null {
    return this.#set;
  }

  get uri(): vscode.Uri | undefined {
    return this.#uri;
  }

  /** The error in the active file, if any. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Makes a file the active set; undefined: none. */
  async choose(uri: vscode.Uri | undefined): Promise<void> {
    this.#watcher?.dispose();
    this.#watcher = undefined;
    this.#uri = uri;
    await this.#extension.vscode.workspaceState.update(KEY, uri?.toString());
    if (uri !== undefined) this.#watcher = this.#watch(uri);
    await this.#load();
  }

  /** Adds a feature to the active set, creating one if needed, and saves it. */
  async add(id: FeatureId, factor: number): Promise<void> {
    const uri = this.#uri ?? newFile();
    await this.#write(uri, (before) => withFeature(before, id, factor));
  }

  /** Removes a feature from the active set, so that it has its own activation again. */
  async remove(id: FeatureId): Promise<void> {
    const uri = this.#uri;
    if (uri !== undefined) await this.#write(uri, (before) => withoutFeature(before ?? "", id));
  }

  dispose(): void {
    this.#serverWatch.dispose();
    this.#watcher?.dispose();
    this.#changed.dispose();
  }

  async #write(uri: vscode.Uri, change: (before: string | undefined) => string): Promise<void> {
    const before = await readText(uri);
    const parsed = before === undefined ? undefined : parseAblation(before);
    if (parsed?.ok === false) throw new Error(`${nameOf(uri)} must be mended first: ${parsed.problem}`);
    await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(change(before)));
    await this.choose(uri);
  }

  #watch(uri: vscode.Uri): vscode.Disposable {
    const pattern = new vscode.RelativePattern(vscode.Uri.joinPath(uri, ".."), nameOf(uri));
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    for (const event of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete]) event(() => void this.#load());
    return watcher;
  }

  async #load(): Promise<void> {
    const uri = this.#uri;
    const before = JSON.stringify(this.#set);
    const loaded = uri === undefined ? { set: null, problem: undefined } : await load(uri);
    if (uri !== this.#uri) return;
    this.#set = loaded.set;
    if (loaded.problem !== this.#problem && loaded.problem !== undefined) {
      void vscode.window.showWarningMessage(`LFP Lens: nothing is ablated. ${loaded.problem}`);
    }
    const isChanged = JSON.stringify(this.#set) !== before || loaded.problem !== this.#problem;
    this.#problem = loaded.problem;
    this.#tellContext();
    if (!isChanged) return;
    this.#tell();
    this.#changed.fire();
  }

  #tell(): void {
    const sent = this.#extension.server.notify(AblationChanged, { ablation: this.#set });
    sent.catch((error: unknown) => this.#extension.log.error(messageOf(error)));
  }

  #tellContext(): void {
    void vscode.commands.executeCommand("setContext", "lfpLens.nothingAblated", this.#set === null);
  }
}

async function load(uri: vscode.Uri): Promise<{ set: AblationSet | null; problem: string | undefined }> {
  const text = await readText(uri);
  if (text === undefined) return { set: null, problem: `${nameOf(uri)} cannot be read.` };
  const parsed = parseAblation(text);
  return parsed.ok
    ? { set: parsed.set, problem: undefined }
    : { set: null, problem: `${nameOf(uri)}: ${parsed.problem}` };
}

async function readText(uri: vscode.Uri): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
  } catch {
    return undefined;
  }
}

function newFile(): vscode.Uri {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (folder === undefined) throw new Error("Ablation sets are files: open a folder to keep them in.");
  return vscode.Uri.joinPath(folder.uri, "ablation.lfp-ablation.json");
}

export function nameOf(uri: vscode.Uri): string {
  return uri.path.slice(uri.path.lastIndexOf("/") + 1);
}
