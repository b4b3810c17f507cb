import { stat } from "node:fs/promises";
import { LfpError } from "../../common/errors.ts";
import { livingStore } from "../../pipeline/finished/living-store.ts";
import type { FeatureId } from "../../protocol/ablation.ts";
import type { FeatureStore } from "../../store/store.ts";

interface Opened {
  /** Device and inode of the file: another file may take its place. */
  readonly inode: string;
  readonly opening: Promise<FeatureStore>;
}

/** The feature stores of runs, opened when they are first asked for and kept open: a few at a time. */
export class FeatureStores {
  readonly #open = new Map<string, Opened>();
  readonly #onFailure: (error: unknown) => void;

  /** `onFailure` is called with what keeps explanations from being read, other than that the run has no store. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** The store of a run; requests at the same time share one opening. Throws `StoreError`. */
  async store(runFolder: string): Promise<FeatureStore> {
    const path = await livingStore(runFolder);
    const found = await stat(path).catch(() => undefined);
    const inode = `${found?.dev} ${found?.ino}`;
    const known = this.#open.get(path);
    if (known?.inode === inode) return await known.opening;
    this.#close(path);
    const opened = { inode, opening: openStore(path) };
    this.#open.set(path, opened);
    // A failure is not kept: the next request tries again.
    opened.opening.catch(() => {
      if (this.#open.get(path) === opened) this.#open.delete(path);
    });
    for (const oldest of this.#open.keys()) if (this.#open.size > MAX_OPEN) this.#close(oldest);
    return await opened.opening;
  }

  /** What features mean, where someone has said so. A run without a store, or with one that cannot be read, has no words. */
  async words(runFolder: string, ids: readonly FeatureId[]): Promise<ReadonlyMap<FeatureId, string>> {
    try {
      const store = await this.store(runFolder);
      return new Map(
        ids.flatMap((id): [FeatureId, string][] => {
          const text = store.detail(id)?.row.explanation?.text;
          return text === undefined ? [] : [[id, text]];
        }),
      );
    } catch (error) {
      if (!isMissing(error)) this.#onFailure(error);
      return new Map();
    }
  }

  /** A feature's largest activation in its run's texts; undefined where the run has no store, or one that cannot be read. */
  async largestActivation(runFolder: string, id: FeatureId): Promise<number | undefined> {
    try {
      return (await this.store(runFolder)).detail(id)?.row.maxActivation;
    } catch (error) {
      if (!isMissing(error)) this.#onFailure(error);
      return undefined;
    }
  }

  close(): void {
    for (const path of [...this.#open.keys()]) this.#close(path);
  }

  /** Whoever was just given the store uses it before this turn of the event loop ends. */
  #close(path: string): void {
    const opened = this.#open.get(path);
    this.#open.delete(path);
    opened?.opening.then(
      (store) => setImmediate(() => store.close()),
      () => undefined,
    );
  }
}

async function openStore(path: string): Promise<FeatureStore> {
  const { FeatureStore: Store } = await import("../../store/store.ts");
  return Store.open(path);
}

/** Whether the run just has no store. */
function isMissing(error: unknown): boolean {
  return error instanceof LfpError && error.code === "not-found";
}

const MAX_OPEN = 4;
