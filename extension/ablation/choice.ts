/**
 * The active ablation set. Sets are files of the workspace (`*.lfp-ablation.json`), so that people can keep, compare
 * and share them; the workspace state remembers which one is active. A change takes effect when the file is saved. A set
 * says which run its features belong to, and acts on no other.
 */
import { basename } from "node:path";
import * as vscode from "vscode";
import {
  type AblationSet,
  belongsTo,
  type RunIdentity,
  switchedOn,
  type WrittenAblation,
} from "../../server/protocol/ablation.ts";
import { AblationChanged, type LensState, targetOf } from "../../server/protocol/lens-state.ts";
import type { FeaturePlace } from "../features/features-model.ts";
import type { ServerState } from "../server-connection.ts";
import { messageOf } from "../server-failure.ts";
import { type FeatureChange, parseAblation, withFeature, withoutFeature, withRun } from "./file.ts";
import { changeSetFile, isUntitled, nameOf, readSetFile } from "./set-file.ts";

const KEY = "lfpLens.activeAblation";
/** Whether the active set is switched off as a whole. */
const OFF_KEY = "lfpLens.ablationOff";
export const ABLATION_FILES = "**/*.lfp-ablation.json";
/** Ending of the name of an ablation set's file. */
export const ABLATION_ENDING = ".lfp-ablation.json";

/** What the choice needs of the extension. */
export interface AblationParts {
  readonly vscode: Pick<vscode.ExtensionContext, "workspaceState">;
  readonly log: Pick<vscode.LogOutputChannel, "error">;
  readonly lens: LensState;
  readonly onDidChangeLens: vscode.Event<LensState>;
  readonly runs: {
    readonly model: {
      get(folder: string): { readonly dictionaries: string | null } | undefined;
      identity(folder: string): Promise<RunIdentity>;
    };
  };
  readonly server: {
    readonly onDidChangeState: vscode.Event<ServerState>;
    notify(type: typeof AblationChanged, params: { ablation: AblationSet | null }): Promise<void>;
  };
}

/** Whether the active set acts, and if it does not, why. */
export type AblationState =
  /** No set is active, or its file cannot be read. */
  | { readonly kind: "none" }
  | { readonly kind: "acts" }
  /** A person switched the whole set off. */
  | { readonly kind: "off" }
  /** The set belongs to another run than the lens looks through. */
  | { readonly kind: "otherRun"; readonly run: RunIdentity }
  /** The set names no run, as those of earlier versions do. */
  | { readonly kind: "unbound" };

/** The workspace's active ablation set and its content. Remembers it, watches its file, and sends it to the server. */
export class AblationChoice implements vscode.Disposable {
  readonly #parts: AblationParts;
  readonly #changed = new vscode.EventEmitter<void>();
  #uri: vscode.Uri | undefined;
  #set: WrittenAblation | null = null;
  #isOn: boolean = true;
  #problem: string | undefined;
  #watcher: vscode.Disposable | undefined;
  readonly #subscriptions: readonly vscode.Disposable[];
  /** What acted when `onDidChange` last fired. */
  #acted = "null";
  /** The last change of a file, which the next one waits for. */
  #writing: Promise<unknown> = Promise.resolve();
  /** Files and runs about which a person was asked. */
  readonly #asked = new Set<string>();

  /** Fires when the active set, its content, or whether it acts changes. */
  readonly onDidChange = this.#changed.event;

  constructor(parts: AblationParts) {
    this.#parts = parts;
    this.#subscriptions = [
      parts.server.onDidChangeState(({ kind }) => {
        if (kind === "running") this.#tell();
      }),
      parts.onDidChangeLens(() => this.#settle()),
    ];
    const remembered = parts.vscode.workspaceState.get<unknown>(KEY);
    this.#isOn = parts.vscode.workspaceState.get<unknown>(OFF_KEY) !== true;
    if (typeof remembered === "string") void this.#take(vscode.Uri.parse(remembered));
    else this.#tellContext();
  }

  /** The active set, whichever run it belongs to; null if there is none or its file cannot be read. */
  get set(): WrittenAblation | null {
    return this.#set;
  }

  get state(): AblationState {
    const [set, run] = [this.#set, this.#lensRun()];
    if (set === null) return { kind: "none" };
    if (set.run === undefined) return { kind: "unbound" };
    if (run === undefined || !belongsTo(set, run)) return { kind: "otherRun", run: set.run };
    return { kind: this.#isOn ? "acts" : "off" };
  }

  /** What of the active set is applied, if it belongs to the run that the lens looks through; null otherwise. */
  get acting(): AblationSet | null {
    return this.#set !== null && this.state.kind === "acts" ? switchedOn(this.#set) : null;
  }

  /** Why the active set does not act, in a sentence; undefined if it does, or if it would change nothing. */
  get idle(): string | undefined {
    const [set, uri, state] = [this.#set, this.#uri, this.state];
    if (set === null || uri === undefined || set.features.length === 0) return undefined;
    const name = nameOf(uri);
    switch (state.kind) {
      case "otherRun":
        return `${name} belongs to ${state.run.name}, and is not applied here`;
      case "unbound":
        return `${name} says of no run, and is not applied`;
      case "off":
        return `${name} is switched off`;
      default:
        return undefined;
    }
  }

  get uri(): vscode.Uri | undefined {
    return this.#uri;
  }

  /** The error in the active file, if any. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Makes a file the active set, and switches it on; undefined: none. */
  async choose(uri: vscode.Uri | undefined): Promise<void> {
    await this.#remember(true);
    await this.#take(uri);
  }

  /** Switches the whole active set on or off. */
  async switch(isOn: boolean): Promise<void> {
    await this.#remember(isOn);
    this.#settle(true);
  }

  /** Changes the text of the active file by one of the functions of file.ts. Throws if no set is active. */
  async edit(change: (before: string | undefined) => string): Promise<void> {
    const uri = this.#uri;
    if (uri === undefined) throw new Error("No ablation set is active: choose one, or ablate a feature from a hover.");
    await this.#write(uri, change);
  }

  /** Writes into the active file that the set belongs to the run that the lens looks through. */
  async bind(): Promise<void> {
    const run = this.#lensRun();
    if (run === undefined) throw new Error("The lens looks through no run: choose one first.");
    await this.edit((before) => withRun(before, run));
  }

  async #remember(isOn: boolean): Promise<void> {
    this.#isOn = isOn;
    await this.#parts.vscode.workspaceState.update(OFF_KEY, isOn ? undefined : true);
  }

  async #take(uri: vscode.Uri | undefined): Promise<void> {
    this.#watcher?.dispose();
    this.#watcher = undefined;
    this.#uri = uri;
    for (const key of [...this.#asked]) if (key.startsWith(`${uri?.toString()} `)) this.#asked.delete(key);
    // An untitled document does not outlive its window.
    const kept = uri === undefined || isUntitled(uri) ? undefined : uri.toString();
    await this.#parts.vscode.workspaceState.update(KEY, kept);
    if (uri !== undefined) this.#watcher = this.#watch(uri);
    await this.#load();
  }

  /**
   * Sets a feature's factor in the set of its run, which becomes the active one and is switched on; creates it if
   * needed, and saves it.
   */
  async add({ runFolder, id }: FeaturePlace, factor: number): Promise<void> {
    const run = await this.#parts.runs.model.identity(runFolder);
    const uri = await this.#fileOf(run);
    const change: FeatureChange = { factor, on: true };
    await this.#write(uri, (before) => withRun(withFeature(before, id, change), run));
    await this.#remember(true);
    this.#settle();
  }

  /** Removes a feature from the active set if that is its run's, so that it has its own activation again. */
  async remove({ runFolder, id }: FeaturePlace): Promise<void> {
    const [set, uri] = [this.#set, this.#uri];
    if (set === null || uri === undefined) return;
    if (belongsTo(set, await this.#parts.runs.model.identity(runFolder)))
      await this.#write(uri, (before) => withoutFeature(before, id));
  }

  /** The factor of a run's feature in the active set; null if the set is another run's or leaves the feature alone. */
  async factorOf({ runFolder, id }: FeaturePlace): Promise<number | null> {
    const set = this.#set;
    const found = set?.features.find((feature) => feature.id === id && feature.on !== false);
    if (set === null || found === undefined || !this.#isOn) return null;
    return belongsTo(set, await this.#parts.runs.model.identity(runFolder)) ? found.factor : null;
  }

  dispose(): void {
    for (const part of this.#subscriptions) part.dispose();
    this.#watcher?.dispose();
    this.#changed.dispose();
  }

  /** The run that the lens looks through, as far as it is known before it is open. */
  #lensRun(): RunIdentity | undefined {
    const { lens, runs } = this.#parts;
    if (lens.kind === "ready")
      return lens.info.kind === "run" ? { name: lens.info.runName, dictionaries: lens.info.dictionaries } : undefined;
    const target = targetOf(lens);
    if (target?.kind !== "run") return undefined;
    return { name: basename(target.folder), dictionaries: runs.model.get(target.folder)?.dictionaries ?? null };
  }

  /** The active file if it is this run's or holds nothing, else one of this run's beside it, which may be new. */
  async #fileOf(run: RunIdentity): Promise<vscode.Uri> {
    const [set, uri] = [this.#set, this.#uri];
    if (uri !== undefined && (set === null || set.features.length === 0 || belongsTo(set, run))) return uri;
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    for (let count = 1; ; count++) {
      const name = count === 1 ? "ablation" : count === 2 ? run.name : `${run.name}-${count - 1}`;
      const candidate = candidateNamed(folder, `${name}${ABLATION_ENDING}`);
      const text = await readSetFile(candidate);
      if (text === undefined) return candidate;
      const parsed = parseAblation(text);
      if (parsed.ok && belongsTo(parsed.set, run)) return candidate;
    }
  }

  /** Changes a file after earlier changes are written, and makes it the active set. */
  async #write(uri: vscode.Uri, change: (before: string | undefined) => string): Promise<void> {
    const written = this.#writing.then(() => writeSet(uri, change));
    this.#writing = written.catch(() => undefined);
    await written;
    if (uri.toString() === this.#uri?.toString()) await this.#load();
    else await this.#take(uri);
  }

  #watch(uri: vscode.Uri): vscode.Disposable {
    const load = (): void => void this.#load();
    if (isUntitled(uri))
      return vscode.Disposable.from(
        vscode.workspace.onDidChangeTextDocument(({ document }) => {
          if (document.uri.toString() === uri.toString()) load();
        }),
        vscode.workspace.onDidCloseTextDocument((document) => {
          if (document.uri.toString() === uri.toString()) void this.choose(undefined);
        }),
      );
    const pattern = new vscode.RelativePattern(vscode.Uri.joinPath(uri, ".."), nameOf(uri));
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    for (const event of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete]) event(load);
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
    this.#settle(isChanged);
  }

  /** Sends the server what acts now, and fires if that or the set (`isChanged`) is other than before. */
  #settle(isChanged = false): void {
    this.#tellContext();
    const acting = JSON.stringify(this.acting);
    const acts = acting !== this.#acted;
    this.#acted = acting;
    if (acts) this.#tell();
    if (acts || isChanged) this.#changed.fire();
    this.#ask().catch((error: unknown) => this.#parts.log.error(messageOf(error)));
  }

  /** Asks once whether a set that names no run, as those of earlier versions, belongs to the lens's. */
  async #ask(): Promise<void> {
    const [set, uri, run] = [this.#set, this.#uri, this.#lensRun()];
    const isOpen = this.#parts.lens.kind === "ready";
    if (set === null || uri === undefined || run === undefined || !isOpen || set.run !== undefined) return;
    const key = `${uri.toString()} ${run.name} ${run.dictionaries}`;
    if (set.features.length === 0 || this.#asked.has(key)) return;
    this.#asked.add(key);
    const apply = `Apply to ${run.name}`;
    const answer = await vscode.window.showWarningMessage(
      `LFP Lens: ${nameOf(uri)} does not say which run its features belong to, and is not applied. Are they features of ${run.name}? The file will say so.`,
      apply,
      "Leave It",
    );
    if (answer === apply && uri === this.#uri) await this.#write(uri, (before) => withRun(before, run));
  }

  #tell(): void {
    const told = this.#parts.server.notify(AblationChanged, { ablation: this.acting });
    told.catch((error: unknown) => this.#parts.log.error(messageOf(error)));
  }

  #tellContext(): void {
    void vscode.commands.executeCommand("setContext", "lfpLens.nothingAblated", this.#set === null);
  }
}

async function load(uri: vscode.Uri): Promise<{ set: WrittenAblation | null; problem: string | undefined }> {
  const text = await readSetFile(uri);
  if (text === undefined) return { set: null, problem: `${nameOf(uri)} cannot be read.` };
  const parsed = parseAblation(text);
  return parsed.ok
    ? { set: parsed.set, problem: undefined }
    : { set: null, problem: `${nameOf(uri)}: ${parsed.problem}` };
}

/** Throws what `changeSetFile` throws, and an error if the file holds something that is no ablation set. */
async function writeSet(uri: vscode.Uri, change: (before: string | undefined) => string): Promise<void> {
  await changeSetFile(uri, (before) => {
    const parsed = before === undefined || before.trim() === "" ? undefined : parseAblation(before);
    if (parsed?.ok === false) throw new Error(`${nameOf(uri)} must be mended first: ${parsed.problem}`);
    return change(parsed === undefined ? undefined : before);
  });
}

/** A set's file in the workspace's first folder; without a folder an untitled document. */
export function candidateNamed(folder: vscode.Uri | undefined, name: string): vscode.Uri {
  return folder === undefined ? vscode.Uri.from({ scheme: "untitled", path: name }) : vscode.Uri.joinPath(folder, name);
}
