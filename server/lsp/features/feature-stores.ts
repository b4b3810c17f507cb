import { stat } from "node:fs/promises";
import { LfpError } from "../../common/errors.ts";
import { livingStore } from "../../pipeline/finished/living-store.ts";
import type { FeatureId } from "../../protocol/ablation.ts";
import { DamagedRowsError } from "../../store/errors.ts";
import type { FeatureStore } from "../../store/store.ts";

interface Opened {
  /** Device and inode of the file: another file may take its place. */
  readonly inode: string;
  readonly opening: Promise<FeatureStore>;
  /** Requests that work with it now. */
  users: number;
  /** Whether it is closed as soon as nobody works with it. */
  isLeft: boolean;
}

/** The feature stores of runs, opened when they are first asked for and kept open: a few at a time, those that were used last. */
export class FeatureStores {
  /** The least recently used first. */
  readonly #open = new Map<string, Opened>();
  readonly #damaged = new Map<string, string>();
  readonly #onFailure: (error: unknown) => void;

  /**
   * `onFailure` is called with what keeps explanations from being read, other than that the run has no store, and once for
   * each store that has damaged rows.
   */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Works with the store of a run, which stays open until the work is done; requests at the same time share one opening. Throws `StoreError`. */
  async use<T>(runFolder: string, work: (store: FeatureStore) => T | Promise<T>): Promise<T> {
    const opened = await this.#opened(await livingStore(runFolder));
    try {
      return await work(await opened.opening);
    } finally {
      opened.users -= 1;
      closeUnused(opened);
    }
  }

  /** What features mean, where someone has said so. A run without a store, or with one that cannot be read, has no words. */
  async words(runFolder: string, ids: readonly FeatureId[]): Promise<ReadonlyMap<FeatureId, string>> {
    const found = await this.#lightly(runFolder, (store) =>
      ids.flatMap((id): [FeatureId, string][] => {
        const text = store.explanationText(id);
        return text === undefined ? [] : [[id, text]];
      }),
    );
    return new Map(found ?? []);
  }

  /** A feature's largest activation in its run's texts; undefined where the run has no store, or one that cannot be read. */
  largestActivation(runFolder: string, id: FeatureId): Promise<number | undefined> {
    return this.#lightly(runFolder, (store) => store.maxActivation(id));
  }

  /** Closes every store as soon as nobody works with it. */
  close(): void {
    for (const path of [...this.#open.keys()]) this.#leave(path);
  }

  /** Something that a reading can do without. */
  async #lightly<T>(runFolder: string, read: (store: FeatureStore) => T): Promise<T | undefined> {
    try {
      return await this.use(runFolder, read);
    } catch (error) {
      if (!isMissing(error)) this.#onFailure(error);
      return undefined;
    }
  }

  /** The caller counts as a user from now on. */
  async #opened(path: string): Promise<Opened> {
    const found = await stat(path).catch(() => undefined);
    const inode = `${found?.dev} ${found?.ino}`;
    const known = this.#open.get(path);
    const opened = known?.inode === inode ? known : this.#openNew(path, inode);
    opened.users += 1;
    this.#open.delete(path);
    this.#open.set(path, opened);
    for (const oldest of this.#open.keys()) if (this.#open.size > MAX_OPEN) this.#leave(oldest);
    return opened;
  }

  /** A file is told of once, however often it is opened. */
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
      users: 0,
      isLeft: false,
    };
    // A failure is not kept: the next request tries again.
    opened.opening.catch(() => {
      if (this.#open.get(path) === opened) this.#open.delete(path);
    });
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
    // Whoever waited for it was told.
    () => undefined,
  );
}

async function openStore(path: string, onDamage: (path: string) => void): Promise<FeatureStore> {
  const { FeatureStore: Store } = await import("../../store/store.ts");
  return Store.open(path, { onDamage });
}

/** Whether the run just has no store. */
function isMissing(error: unknown): boolean {
  return error instanceof LfpError && error.code === "not-found";
}

const MAX_OPEN = 4;
