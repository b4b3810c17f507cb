import { stat } from "node:fs/promises";
import { livingStore } from "../../pipeline/living-store.ts";
import type { FeatureId } from "../../protocol/ablation.ts";
import type { FeatureStore } from "../../store/store.ts";

/** The feature stores of runs, opened when they are first asked for and kept open: a few at a time. */
export class FeatureStores {
  readonly #open = new Map<string, { readonly store: FeatureStore; readonly inode: string }>();

  /** The store of a run. Throws `StoreError`. */
  async store(runFolder: string): Promise<FeatureStore> {
    const path = await livingStore(runFolder);
    const found = await stat(path).catch(() => undefined);
    const inode = `${found?.dev} ${found?.ino}`;
    const known = this.#open.get(path);
    if (known !== undefined && found !== undefined && known.inode === inode) return known.store;
    this.#close(path);
    const { FeatureStore: Store } = await import("../../store/store.ts");
    const store = Store.open(path);
    this.#close(path);
    this.#open.set(path, { store, inode });
    for (const oldest of this.#open.keys()) if (this.#open.size > MAX_OPEN) this.#close(oldest);
    return store;
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
    } catch {
      return new Map();
    }
  }

  close(): void {
    for (const path of [...this.#open.keys()]) this.#close(path);
  }

  #close(path: string): void {
    this.#open.get(path)?.store.close();
    this.#open.delete(path);
  }
}

const MAX_OPEN = 4;
