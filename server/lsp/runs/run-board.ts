import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MOST_RUNS, sweepLock, sweepRunFolders } from "../../pipeline/sweep/manifest.ts";
import { hasEnded } from "../../protocol/run-events.ts";
import type { RunView, SweepView } from "../../protocol/runs.ts";
import { FolderWatch } from "../../runs/folder-watch.ts";
import { listMisnamedRuns, listRuns } from "../../runs/run-folder.ts";
import { lockHolder } from "../../runs/run-lock.ts";
import { type SummaryCache, type ViewOptions, viewRun } from "./run-view.ts";

/** Called with the runs that changed or appeared, and the folders of those that disappeared. */
export type RunListener = (changed: RunView[], gone: string[]) => void;

/**
 * Tracks all runs in some folders, and those of the sweeps there. It re-reads a run when the operating system reports a
 * change, and by polling in case it does not. It batches changes within a quarter of a second into one notification.
 */
export class RunBoard {
  readonly #onFailure: (error: unknown) => void;
  readonly #goesOn: ViewOptions["goesOn"];
  readonly #listeners: RunListener[] = [];
  readonly #runs = new Map<string, KnownRun>();
  readonly #summaries: SummaryCache = new Map();
  #roots: readonly string[] = [];
  readonly #unreadable = new Set<string>();
  /** Folders of runs whose names no run can have, by the folder of runs. */
  readonly #misnamed = new Map<string, readonly string[]>();
  /** By the folder of runs. */
  readonly #sweepsIn = new Map<string, readonly SweepView[]>();
  #sweeps: readonly SweepView[] = [];
  #watching = new AbortController();
  #dirty = new Set<string>();
  #flushing: Promise<void> | undefined;
  #settled: Promise<void> = Promise.resolve();

  constructor(onFailure: (error: unknown) => void, goesOn?: ViewOptions["goesOn"]) {
    this.#onFailure = onFailure;
    this.#goesOn = goesOn;
  }

  listen(listener: RunListener): void {
    this.#listeners.push(listener);
  }

  /** Watches these folders from now on; runs in other folders are dropped. */
  watch(roots: readonly string[]): Promise<void> {
    const [before, after] = [JSON.stringify(this.#roots), JSON.stringify(roots)];
    if (before !== after) this.#settled = this.#watch(roots);
    return this.#settled;
  }

  /** Waits until every run in the folders has been read once. */
  async settled(): Promise<void> {
    await this.#settled.catch(() => undefined);
  }

  async #watch(roots: readonly string[]): Promise<void> {
    this.#watching.abort();
    const watching = new AbortController();
    this.#watching = watching;
    this.#roots = roots;
    for (const { loop } of this.#runs.values()) loop.abort();
    const gone = [...this.#runs.keys()];
    this.#runs.clear();
    this.#sweepsIn.clear();
    this.#sweeps = [];
    await Promise.all(roots.map((root) => this.#scan(root)));
    await this.#lookAt([...this.#runs.keys()]);
    const kept = gone.filter((folder) => !this.#runs.has(folder));
    if (kept.length > 0) this.#tell([], kept);
    for (const root of roots)
      this.#loop(
        root,
        watching.signal,
        () => ROOT_POLL_MS,
        () => this.#scan(root),
      );
  }

  /** Reads all runs again and returns them in the order of the folders and by name. */
  async list(): Promise<RunView[]> {
    await Promise.all(this.#roots.map((root) => this.#scan(root)));
    await this.#lookAt([...this.#runs.keys()]);
    return this.known();
  }

  /** All runs as last read. */
  known(): RunView[] {
    return [...this.#runs.values()].flatMap(({ view }) => (view === undefined ? [] : [view]));
  }

  /** The sweeps in the folders, by name; another array whenever something of them has changed. */
  get sweeps(): readonly SweepView[] {
    return this.#sweeps;
  }

  /** Folders that hold a run but are left out, because no run can have their name. */
  get misnamed(): string[] {
    return this.#roots.flatMap((root) => (this.#misnamed.get(root) ?? []).map((name) => join(root, name)));
  }

  /** Reads one run now. */
  async refresh(folder: string): Promise<void> {
    await Promise.all(this.#roots.map((root) => this.#scan(root)));
    this.#mark(folder);
  }

  close(): void {
    this.#watching.abort();
    for (const { loop } of this.#runs.values()) loop.abort();
    this.#listeners.length = 0;
  }

  async #scan(root: string): Promise<void> {
    const names = (await this.#namesIn(root)).slice(0, MAX_RUNS);
    const sweeps = await this.#readSweeps(names.map((name) => join(root, name)));
    if (!this.#roots.includes(root)) return;
    const found = new Map<string, string | null>(names.map((name) => [join(root, name), null]));
    for (const { folder } of sweeps) found.delete(folder);
    for (const { folder, runs } of sweeps) for (const run of runs.slice(0, MOST_RUNS)) found.set(run, folder);
    for (const [folder, sweep] of found) if (!this.#runs.has(folder)) this.#add(folder, { root, sweep });
    const gone = [...this.#runs].flatMap(([folder, run]) => (run.root === root && !found.has(folder) ? [folder] : []));
    for (const folder of gone) {
      this.#runs.get(folder)?.loop.abort();
      this.#runs.delete(folder);
    }
    const isOther = this.#takeSweeps(root, sweeps);
    const isMisnamed = await this.#lookForMisnamed(root);
    if (gone.length > 0 || isOther || isMisnamed) this.#tell([], gone);
  }

  /** Those of some folders that are a sweep's. A folder that holds a run with stages is none, and is not looked into. */
  async #readSweeps(folders: readonly string[]): Promise<SweepView[]> {
    const isRun = (folder: string): boolean => (this.#runs.get(folder)?.view?.stages.length ?? 0) > 0;
    const read = folders.filter((folder) => !isRun(folder)).map((folder) => this.#readSweep(folder));
    return (await Promise.all(read)).filter((sweep) => sweep !== undefined);
  }

  /** A folder's sweep, if it holds one; a manifest that cannot be read is reported once. */
  async #readSweep(folder: string): Promise<SweepView | undefined> {
    try {
      const runs = await sweepRunFolders(folder);
      if (runs === undefined) return undefined;
      const isAtWork = (await lockHolder(sweepLock(folder))) !== undefined;
      return { folder, name: basename(folder), runs, isAtWork };
    } catch (error) {
      this.#reportOnce(folder, error);
      return undefined;
    }
  }

  /** Keeps the sweeps of a folder of runs; returns whether they are others than before. */
  #takeSweeps(root: string, sweeps: readonly SweepView[]): boolean {
    if (JSON.stringify(this.#sweepsIn.get(root) ?? []) === JSON.stringify(sweeps)) return false;
    this.#sweepsIn.set(root, sweeps);
    this.#sweeps = [...this.#sweepsIn.values()].flat();
    return true;
  }

  /** Looks for folders that are left out; returns whether they are others than before. */
  async #lookForMisnamed(root: string): Promise<boolean> {
    const before = this.#misnamed.get(root) ?? [];
    const names = (await listMisnamedRuns(root).catch(() => [])).slice(0, MAX_RUNS);
    this.#misnamed.set(root, names);
    return names.join("/") !== before.join("/");
  }

  /** Names of the runs in a folder. Empty for an unreadable folder, which is reported once. */
  async #namesIn(root: string): Promise<string[]> {
    try {
      return await listRuns(root);
    } catch (error) {
      this.#reportOnce(root, error);
      return [];
    }
  }

  #reportOnce(folder: string, error: unknown): void {
    if (!this.#unreadable.has(folder)) this.#onFailure(error);
    this.#unreadable.add(folder);
  }

  #add(folder: string, place: Pick<KnownRun, "root" | "sweep">): void {
    const loop = new AbortController();
    this.#runs.set(folder, { ...place, loop, view: undefined });
    this.#mark(folder);
    this.#loop(
      folder,
      loop.signal,
      () => pollMsOf(this.#runs.get(folder)?.view, this.known()),
      async () => this.#mark(folder),
    );
  }

  #loop(folder: string, signal: AbortSignal, pollMs: () => number, look: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      while (!signal.aborted) {
        // Recreated each time, so that a folder that was missing or replaced is watched from the next round on.
        const watch = new FolderWatch(folder);
        try {
          await watch.next(pollMs(), signal);
        } finally {
          watch.close();
        }
        if (!signal.aborted) await look();
      }
    };
    run().catch(this.#onFailure);
  }

  #mark(folder: string): void {
    this.#dirty.add(folder);
    this.#flushing ??= this.#flushSoon().catch(this.#onFailure);
  }

  async #flushSoon(): Promise<void> {
    await delay(FLUSH_MS, undefined, { ref: false });
    this.#flushing = undefined;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    await this.#lookAt(dirty);
  }

  /** Reads runs and notifies the listeners of those that have changed. */
  async #lookAt(folders: readonly string[]): Promise<void> {
    const changed = await Promise.all(folders.map((folder) => this.#look(folder)));
    const views = changed.filter((view) => view !== undefined);
    if (views.length > 0) this.#tell(views, []);
  }

  /** Reads a run; returns its view if it has changed since the last read. */
  async #look(folder: string): Promise<RunView | undefined> {
    const sweep = this.#runs.get(folder)?.sweep ?? null;
    const view = await viewRun(folder, { summaries: this.#summaries, sweep, goesOn: this.#goesOn });
    const known = this.#runs.get(folder);
    if (known === undefined || JSON.stringify(view) === JSON.stringify(known.view)) return undefined;
    known.view = view;
    return view;
  }

  #tell(changed: RunView[], gone: string[]): void {
    for (const listener of this.#listeners) listener(changed, gone);
  }
}

/**
 * Polling interval of a run among all, in milliseconds: shorter for active runs, because a killed process changes no
 * file, and longer where there are many such as it.
 */
export function pollMsOf(view: RunView | undefined, all: readonly RunView[]): number {
  const isResting = isAtRest(view);
  const alike = all.filter((other) => isAtRest(other) === isResting).length;
  return Math.max(isResting ? RESTING_POLL_MS : LIVE_POLL_MS, (alike / LOOKS_PER_S) * 1000);
}

/** Interval between notifications: at most four a second. */
const FLUSH_MS = 250;
const LIVE_POLL_MS = 1000;
const RESTING_POLL_MS = 5000;
const ROOT_POLL_MS = 2000;
/** How many active runs are polled a second, and how many others: a large sweep's are polled less often for it. */
const LOOKS_PER_S = 50;
const MAX_RUNS = 500;

interface KnownRun {
  /** The folder of runs in which it was found. */
  readonly root: string;
  /** The sweep that asks for it. */
  readonly sweep: string | null;
  readonly loop: AbortController;
  view: RunView | undefined;
}

function isAtRest(view: RunView | undefined): boolean {
  if (view === undefined) return true;
  const { state } = view;
  return state.kind === "unreadable" || state.kind === "new" || state.kind === "interrupted" || hasEnded(state);
}
