/** What a job has paid for, kept in a run's store: at once, or in groups where each write replaces the store whole. */
import type { AnswerCache, CachedAnswer } from "../../endpoint/chat.ts";
import type { FeatureStore } from "../../store/store.ts";

/** The most that a crash loses on a network file system, where each write copies a store of up to hundreds of MB. */
export const MOST_WAITING = 16;

/** Answers and what was made of them. The owner calls `flush` at the end, however that comes. */
export class KeptAnswers implements AnswerCache {
  readonly #store: FeatureStore;
  #answers = new Map<string, CachedAnswer>();
  #writes: (() => void)[] = [];

  constructor(store: FeatureStore) {
    this.#store = store;
  }

  get(key: string): CachedAnswer | undefined {
    return this.#answers.get(key) ?? this.#store.answer(key);
  }

  /** Throws as `flush`. */
  set(key: string, answer: CachedAnswer): void {
    this.#answers.set(key, answer);
    this.#added();
  }

  /** Runs a write to the store now, or later with others. Throws as `flush`. */
  write(write: () => void): void {
    this.#writes.push(write);
    this.#added();
  }

  /**
   * Keeps what waits, in one write. Throws what the writes throw, and `StoreError`; nothing waits then, and the answers
   * are kept if the store can be written at all.
   */
  flush(): void {
    const answers = [...this.#answers];
    const writes = this.#writes;
    this.#answers = new Map();
    this.#writes = [];
    if (answers.length + writes.length === 0) return;
    const keepAnswers = (): void => {
      for (const [key, answer] of answers) this.#store.keepAnswer(key, answer);
    };
    try {
      this.#store.together(() => {
        keepAnswers();
        for (const write of writes) write();
      });
    } catch (error) {
      // One explanation of a feature that is gone takes the whole group with it, and the answers are paid for.
      if (writes.length > 0) quietly(() => this.#store.together(keepAnswers));
      throw error;
    }
  }

  #added(): void {
    if (!this.#store.isCopy || this.#answers.size + this.#writes.length >= MOST_WAITING) this.flush();
  }
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // The caller reports the first failure.
  }
}
