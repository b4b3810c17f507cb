import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { hasEnded } from "../../protocol/run-events.ts";
import type { RunView } from "../../protocol/runs.ts";
import { FolderWatch } from "../../runs/folder-watch.ts";
import { listMisnamedRuns, listRuns } from "../../runs/run-folder.ts";
import { type SummaryCache, viewRun } from "./run-view.ts";

/** Called with the runs that changed or appeared, and the folders of those that disappeared. */
export type RunListener = (changed: RunView[], gone: string[]) => void;

/**
 * Tracks all runs in some folders. It re-reads a run when the operating system reports a change, and by polling in case
 * it does not. It batches changes within a quarter of a second into one notification.
 */
export class RunBoard {
  readonly #onFailure: (error: unknown) => void;
  readonly #listeners: RunListener[] = [];
  readonly #runs = new Map<string, KnownRun>();
  readonly #summaries: SummaryCache = new Map();
  #roots: readonly string[] = [];
  readonly #unreadable = new Set<string>();
  /** Folders of runs whose names no run can have, by the folder of runs. */
  readonly #misnamed = new Map<string, readonly string[]>();
  #watching = new AbortController();
  #dirty = new Set<string>();
  #flushing: Promise<void> | undefined;
  #settled: Promise<void> = Promise.resolve();

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
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
    const found = new Set(names.map((name) => join(root, name)));
    if (!this.#roots.includes(root)) return;
    for (const folder of found) if (!this.#runs.has(folder)) this.#add(folder);
    const gone = [...this.#runs.keys()].filter((folder) => isIn(folder, root) && !found.has(folder));
    for (const folder of gone) {
      this.#runs.get(folder)?.loop.abort();
      this.#runs.delete(folder);
    }
    const isMisnamed = await this.#lookForMisnamed(root);
    if (gone.length > 0 || isMisnamed) this.#tell([], gone);
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
      if (!this.#unreadable.has(root)) this.#onFailure(error);
      this.#unreadable.add(root);
      return [];
    }
  }

  #add(folder: string): void {
    const loop = new AbortController();
    this.#runs.set(folder, { loop, view: undefined });
    this.#mark(folder);
    this.#loop(
      folder,
      loop.signal,
      () => this.#pollMs(folder),
      async () => this.#mark(folder),
    );
  }

  /** Polling interval of a run: shorter for active runs, because a killed process changes no file. */
  #pollMs(folder: string): number {
    const state = this.#runs.get(folder)?.view?.state;
    const isAtRest = state === undefined || state.kind === "unreadable" || state.kind === "new" || isOver(state);
    return isAtRest ? RESTING_POLL_MS : LIVE_POLL_MS;
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
    const view = await viewRun(folder, this.#summaries);
    const known = this.#runs.get(folder);
    if (known === undefined || JSON.stringify(view) === JSON.stringify(known.view)) return undefined;
    known.view = view;
    return view;
  }

  #tell(changed: RunView[], gone: string[]): void {
    for (const listener of this.#listeners) listener(changed, gone);
  }
}

/** Interval between notifications: at most four a second. */
const FLUSH_MS = 250;
const LIVE_POLL_MS = 1000;
const RESTING_POLL_MS = 5000;
const ROOT_POLL_MS = 2000;
const MAX_RUNS = 500;

interface KnownRun {
  readonly loop: AbortController;
  view: RunView | undefined;
}

function isOver(state: Exclude<RunView["state"], { kind: "unreadable" | "new" }>): boolean {
  return state.kind === "interrupted" || hasEnded(state);
}

function isIn(folder: string, root: string): boolean {
  return join(folder, "..") === join(root);
}
