/** Sources of questions for a program of its own, which changes nothing on the disk. */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { messageOf } from "../common/errors.ts";
import type { Lens } from "../lens/lens.ts";
import { storeToRead } from "../pipeline/finished/living-store.ts";
import { type OpenLensOptions, openLens } from "../pipeline/finished/open-lens.ts";
import { readRunReport } from "../pipeline/finished/run-report.ts";
import { FeatureStore } from "../store/store.ts";
import type { Sources } from "./sources.ts";

/** Sources over the runs of one folder. Holds the run that was read last open, until another is read or it closes. */
export class RunSources implements Sources, AsyncDisposable {
  readonly roots: readonly string[];
  readonly preferred = undefined;
  readonly #options: OpenLensOptions;
  #open: { readonly key: string; readonly lens: Lens } | undefined;
  /** The last borrowing; the next one waits for it, so that a lens is never closed while it is read. */
  #last: Promise<void> = Promise.resolve();

  constructor(runsRoot: string, options: OpenLensOptions) {
    this.roots = [resolve(runsRoot)];
    this.#options = options;
  }

  async borrowLens(folder: string, signal: AbortSignal): Promise<{ lens: Lens; done: () => Promise<void> }> {
    const before = this.#last;
    const { promise, resolve: release } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    try {
      signal.throwIfAborted();
      return { lens: await this.#lensOf(folder), done: async () => release() };
    } catch (error) {
      release();
      throw error;
    }
  }

  guard<T>(_parts: readonly string[], work: () => Promise<T>): Promise<T> {
    return work();
  }

  async useStore<T>(folder: string, work: (store: FeatureStore) => T): Promise<T> {
    using store = FeatureStore.open(await storeToRead(folder), { writable: false });
    return work(store);
  }

  readReport(folder: string) {
    return readRunReport(folder, { isReadOnly: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#open?.lens.close();
    this.#open = undefined;
  }

  /** The open lens if it is this run's as it stands on the disk; otherwise opens it. */
  async #lensOf(folder: string): Promise<Lens> {
    const found = await stat(join(folder, "probe", "probe.json")).catch((cause: unknown) => messageOf(cause));
    const key = `${folder} ${typeof found === "string" ? found : `${found.ino} ${found.mtimeMs}`}`;
    if (this.#open?.key === key) return this.#open.lens;
    await this.#open?.lens.close();
    this.#open = undefined;
    const lens = await openLens(folder, this.#options);
    this.#open = { key, lens };
    return lens;
  }
}
