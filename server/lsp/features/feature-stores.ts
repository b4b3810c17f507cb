import { stat } from "node:fs/promises";
import { LfpError } from "../../common/errors.ts";
import { livingStore } from "../../pipeline/finished/living-store.ts";
import type { FeatureId } from "../../protocol/ablation.ts";
import { DamagedRowsError } from "../../store/errors.ts";
import type { FeatureStore } from "../../store/store.ts";

interface Opened {
  /** Device and inode, which reveal that another file has replaced this one. */
  readonly inode: string;
  readonly opening: Promise<FeatureStore>;
  /** Once it is open. */
  store: FeatureStore | undefined;
  /** Number of requests that use it now. */
  users: number;
  /** Whether to close it as soon as no request uses it. */
  isLeft: boolean;
}

/** Cache of runs' open feature stores: opened on first use; keeps only the few most recently used ones open. */
export class FeatureStores {
  /** Open stores by path, the least recently used first. */
  readonly #open = new Map<string, Opened>();
  readonly #damaged = new Map<string, string>();
  readonly #onFailure: (error: unknown) => void;

  /**
   * Calls `onFailure` with errors that prevent reading explanations, except for a missing store, and once for each
   * store with damaged rows.
   */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /**
   * Runs `work` with a run's store, which stays open until the work is done. Concurrent requests share one opening.
   * Throws `StoreError`.
   */
  async use<T>(runFolder: string, work: (store: FeatureStore) => T | Promise<T>): Promise<T> {
    const opened = await this.#opened(await livingStore(runFolder));
    try {
      const store = await opened.opening;
      store.refresh();
      return await work(store);
    } finally {
      opened.users -= 1;
      closeUnused(opened);
    }
  }

  /** Explanations of features, for those that have one. Empty if the run has no store or an unreadable one. */
  async words(runFolder: string, ids: readonly FeatureId[]): Promise<ReadonlyMap<FeatureId, string>> {
    const found = await this.#lightly(runFolder, (store) =>
      ids.flatMap((id): [FeatureId, string][] => {
        const text = store.explanationText(id);
        return text === undefined ? [] : [[id, text]];
      }),
    );
    return new Map(found ?? []);
  }

  /** A feature's largest activation in its run's texts; undefined if the run has no store or an unreadable one. */
  largestActivation(runFolder: string, id: FeatureId): Promise<number | undefined> {
    return this.#lightly(runFolder, (store) => store.maxActivation(id));
  }

  /** Closes every store as soon as no request uses it. */
  close(): void {
    for (const path of [...this.#open.keys()]) this.#leave(path);
  }

  /** Reads something optional from a store; undefined if the store is missing or unreadable. */
  async #lightly<T>(runFolder: string, read: (store: FeatureStore) => T): Promise<T | undefined> {
    try {
      return await this.use(runFolder, read);
    } catch (error) {
      if (!isMissing(error)) this.#onFailure(error);
      return undefined;
    }
  }

  /** Returns an open store and counts the caller as one of its users. */
  async #opened(path: string): Promise<Opened> {
    const found = await stat(path).catch(() => undefined);
    const inode = `${found?.dev} ${found?.ino}`;
    const known = this.#open.get(path);
    // A copy replaces its file with each write.
    const isKept = known?.inode === inode || (found !== undefined && known?.store?.isCopy === true);
    const opened = known !== undefined && isKept ? known : this.#openNew(path, inode);
    opened.users += 1;
    this.#open.delete(path);
    this.#open.set(path, opened);
    for (const oldest of this.#open.keys()) if (this.#open.size > MAX_OPEN) this.#leave(oldest);
    return opened;
  }

  /** Reports damaged rows once per file, however often it is opened. */
  #tellDamage(path: string, inode: string): void {
    if (this.#damaged.get(path) === inode) return;
    this.#damaged.set(path, inode);
    this.#onFailure(new DamagedRowsError(path));
  }

  #openNew(path: string, inode: string): Opened {
    this.#leave(path);
    const opened: Opened = {
      inode,
      opening: openStore(path, (damaged) => this.#tellDamage(damaged, inode)),
      store: undefined,
      users: 0,
      isLeft: false,
    };
    opened.opening.then(
      (store) => {
        opened.store = store;
      },
      // A failed opening is not cached: the next request tries again.
      () => {
        if (this.#open.get(path) === opened) this.#open.delete(path);
      },
    );
    return opened;
  }

  #leave(path: string): void {
    const opened = this.#open.get(path);
    if (opened === undefined) return;
    this.#open.delete(path);
    opened.isLeft = true;
    closeUnused(opened);
  }
}

function closeUnused({ isLeft, users, opening }: Opened): void {
  if (!isLeft || users > 0) return;
  opening.then(
    (store) => store.close(),
    // The requests that awaited the opening received its error.
    () => undefined,
  );
}

async function openStore(path: string, onDamage: (path: string) => void): Promise<FeatureStore> {
  const { FeatureStore: Store } = await import("../../store/store.ts");
  return Store.open(path, { onDamage });
}

/** Whether an error only means that the run has no store. */
function isMissing(error: unknown): boolean {
  return error instanceof LfpError && error.code === "not-found";
}

const MAX_OPEN = 4;
