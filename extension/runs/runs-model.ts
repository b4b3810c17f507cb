/** The runs of the workspace, as the server last reported them. */
import { basename } from "node:path";
import * as vscode from "vscode";
import type { RunIdentity } from "../../server/protocol/ablation.ts";
import { ListRuns, RunsChanged, type RunView, type SweepView } from "../../server/protocol/runs.ts";
import type { ServerConnection } from "../server-connection.ts";
import { isActive, runContext } from "./run-text.ts";
import { type KnownSweep, sweepState } from "./sweep-text.ts";

/** All runs by folder; `onDidChange` names those that changed. */
export class RunsModel implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #changed = new vscode.EventEmitter<readonly string[] | undefined>();
  readonly #parts: readonly vscode.Disposable[];
  #runs = new Map<string, RunView>();
  #bundled: RunView | null = null;
  #misnamed: readonly string[] = [];
  #sweeps: readonly SweepView[] = [];
  #listing: Promise<void> | undefined;
  /** Context keys as last set, to skip repeats: progress of runs arrives several times a second. */
  readonly #contexts = new Map<string, boolean>();

  /** Fires with the folders of the runs that changed; undefined if the list of runs changed. */
  readonly onDidChange = this.#changed.event;

  constructor(server: ServerConnection) {
    this.#server = server;
    this.#parts = [
      this.#changed,
      server.onNotification(RunsChanged, ({ changed, gone, misnamed, sweeps }) => {
        this.#misnamed = misnamed;
        this.#sweeps = sweeps ?? this.#sweeps;
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
    return inOrder([...this.#runs.values()]);
  }

  /** Single runs and sweeps: active ones first, then the newest. */
  rows(): (RunView | KnownSweep)[] {
    const single = [...this.#runs.values()].filter(({ sweep }) => sweep === null);
    return inOrder([...single, ...this.sweeps()]);
  }

  /** All sweeps with their runs, these in the sweep's order. */
  sweeps(): KnownSweep[] {
    return this.#sweeps.map((sweep) => this.#knownSweep(sweep));
  }

  /** The sweep in a folder with its runs. */
  sweep(folder: string): KnownSweep | undefined {
    const found = this.#sweeps.find((sweep) => sweep.folder === folder);
    return found === undefined ? undefined : this.#knownSweep(found);
  }

  #knownSweep(sweep: SweepView): KnownSweep {
    return { sweep, runs: sweep.runs.flatMap((folder) => this.#runs.get(folder) ?? []) };
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
      const { runs, bundled, misnamed, sweeps } = await this.#server.request(ListRuns, {});
      this.#bundled = bundled;
      this.#misnamed = misnamed;
      this.#sweeps = sweeps;
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
    if (this.#sweeps.length > 0) words.add("sweep");
    for (const [word, key] of Object.entries(noneKeys)) {
      const isNone = !words.has(word);
      if (this.#contexts.get(key) === isNone) continue;
      this.#contexts.set(key, isNone);
      void vscode.commands.executeCommand("setContext", key, isNone);
    }
  }
}

/** What decides on a row's place. */
interface Rank {
  readonly isActive: boolean;
  readonly updated: string;
  readonly name: string;
}

function inOrder<R extends RunView | KnownSweep>(rows: readonly R[]): R[] {
  const ranked = rows.map((row) => ({ row, rank: rankOf(row) }));
  return ranked.sort((a, b) => byRecency(a.rank, b.rank)).map(({ row }) => row);
}

function rankOf(row: RunView | KnownSweep): Rank {
  if (!("runs" in row)) return { isActive: isActive(row.state), updated: row.updated ?? "", name: row.name };
  const updated = row.runs.map((run) => run.updated ?? "").reduce((a, b) => (a > b ? a : b), "");
  return { isActive: sweepState(row) === "active", updated, name: row.sweep.name };
}

function byRecency(a: Rank, b: Rank): number {
  return Number(b.isActive) - Number(a.isActive) || b.updated.localeCompare(a.updated) || a.name.localeCompare(b.name);
}

/** Context keys by the words of `runContext`, and for sweeps; see the palette's when-clauses in package.json. */
const noneKeys = {
  run: "lfpLens.noRun",
  active: "lfpLens.noActiveRun",
  resumable: "lfpLens.noResumableRun",
  curves: "lfpLens.noCurves",
  sweep: "lfpLens.noSweep",
} as const;
