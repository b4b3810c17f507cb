/** The runs of the workspace, as the server last reported them. */
import { basename } from "node:path";
import * as vscode from "vscode";
import type { RunIdentity } from "../../server/protocol/ablation.ts";
import { ListRuns, RunsChanged, type RunView } from "../../server/protocol/runs.ts";
import type { ServerConnection } from "../server-connection.ts";
import { runContext } from "./run-text.ts";

/** All runs by folder; `onDidChange` names those that changed. */
export class RunsModel implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #changed = new vscode.EventEmitter<readonly string[] | undefined>();
  readonly #parts: readonly vscode.Disposable[];
  #runs = new Map<string, RunView>();
  #bundled: RunView | null = null;
  #misnamed: readonly string[] = [];
  #listing: Promise<void> | undefined;
  /** Context keys as last set, to skip repeats: progress of runs arrives several times a second. */
  readonly #contexts = new Map<string, boolean>();

  /** Fires with the folders of the runs that changed; undefined if the list of runs changed. */
  readonly onDidChange = this.#changed.event;

  constructor(server: ServerConnection) {
    this.#server = server;
    this.#parts = [
      this.#changed,
      server.onNotification(RunsChanged, ({ changed, gone, misnamed }) => {
        this.#misnamed = misnamed;
        this.#take(changed, gone);
      }),
      // A restarted server has not reported any runs yet.
      server.onDidChangeState(({ kind }) => {
        if (kind === "running" && this.#listing !== undefined) this.refresh();
      }),
    ];
  }

  /** All runs: active ones first, then the newest. Starts the server if needed. */
  async all(): Promise<RunView[]> {
    this.#listing ??= this.#list();
    await this.#listing;
    return this.known();
  }

  /** The runs known so far, in the same order, without a request. */
  known(): RunView[] {
    const isActive = ({ state: { kind } }: RunView): boolean => kind === "running" || kind === "waiting";
    return [...this.#runs.values()].sort(
      (a, b) =>
        Number(isActive(b)) - Number(isActive(a)) ||
        (b.updated ?? "").localeCompare(a.updated ?? "") ||
        a.name.localeCompare(b.name),
    );
  }

  get(folder: string): RunView | undefined {
    return this.#runs.get(folder);
  }

  /** The run that comes with the extension; null until the runs have been listed. */
  get bundled(): RunView | null {
    return this.#bundled;
  }

  /** Folders that hold a run but are left out, because no run can have their name. */
  get misnamed(): readonly string[] {
    return this.#misnamed;
  }

  /** What an ablation set says of a run that it belongs to. Starts the server if needed. */
  async identity(folder: string): Promise<RunIdentity> {
    await this.all();
    const run = this.#runs.get(folder) ?? (this.#bundled?.folder === folder ? this.#bundled : undefined);
    return { name: run?.name ?? basename(folder), dictionaries: run?.dictionaries ?? null };
  }

  refresh(): void {
    this.#listing = undefined;
    this.#changed.fire(undefined);
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
  }

  async #list(): Promise<void> {
    try {
      const { runs, bundled, misnamed } = await this.#server.request(ListRuns, {});
      this.#bundled = bundled;
      this.#misnamed = misnamed;
      this.#runs = new Map(runs.map((run) => [run.folder, run]));
      this.#tellContexts();
    } catch (error) {
      this.#listing = undefined;
      throw error;
    }
  }

  #take(changed: readonly RunView[], gone: readonly string[]): void {
    // Without changed runs only the list itself changed: runs that are gone, or that are left out.
    const isNew = changed.length === 0 || changed.some(({ folder }) => !this.#runs.has(folder)) || gone.length > 0;
    const moved = changed.some((run) => this.#runs.get(run.folder)?.state.kind !== run.state.kind);
    for (const run of changed) this.#runs.set(run.folder, run);
    for (const folder of gone) this.#runs.delete(folder);
    if (this.#listing !== undefined) this.#tellContexts();
    this.#changed.fire(isNew || moved ? undefined : changed.map(({ folder }) => folder));
  }

  /**
   * Sets context keys for the absence of runs, but only once it is known: until then the palette offers commands that
   * look for runs.
   */
  #tellContexts(): void {
    const words = new Set([...this.#runs.values()].flatMap((run) => runContext(run).split(" ")));
    for (const [word, key] of Object.entries(noneKeys)) {
      const isNone = !words.has(word);
      if (this.#contexts.get(key) === isNone) continue;
      this.#contexts.set(key, isNone);
      void vscode.commands.executeCommand("setContext", key, isNone);
    }
  }
}

/** Context keys by the words of `runContext`; see the palette's when-clauses in package.json. */
const noneKeys = {
  run: "lfpLens.noRun",
  active: "lfpLens.noActiveRun",
  resumable: "lfpLens.noResumableRun",
  curves: "lfpLens.noCurves",
} as const;
