/** A store's open database: the file itself, or a local working copy of one on a network file system. */

import { existsSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { checkWhole, inTransaction, isOnNetwork, isWritable, type OpenOptions, openDatabase } from "./open.ts";
import { numberOf, Statements } from "./rows.ts";
import { WorkingCopy } from "./working-copy.ts";

/** `onDamage` is called once, when the first damaged row is skipped. */
export type ConnectionOptions = Omit<OpenOptions, "original"> & { readonly onDamage?: (path: string) => void };

/**
 * On a network file system it reads a local copy, and each write replaces the store whole; what other processes wrote
 * shows after `refresh`, and after a write.
 */
export class Connection {
  readonly path: string;
  readonly #create: boolean;
  readonly #onDamage: ((path: string) => void) | undefined;
  #open: Open;
  #isWriting = false;

  /** Throws `StoreError` and `DatabaseError`. */
  constructor(path: string, { onDamage, ...options }: ConnectionOptions) {
    const { onNetwork = isOnNetwork(path), create = false, journal, writable } = options;
    this.path = path;
    this.#create = create;
    this.#onDamage = onDamage;
    const isCopied = onNetwork && journal === "wal" && (existsSync(path) ? (writable ?? isWritable(path)) : create);
    this.#open = isCopied ? this.#copied() : this.#opened(openDatabase(path, { ...options, onNetwork }));
  }

  /** Whether a local copy is open, which `refresh` renews, and not the file itself. */
  get isCopy(): boolean {
    return this.#open.copy !== undefined;
  }

  get db(): DatabaseSync {
    return this.#open.db;
  }

  get statements(): Statements {
    return this.#open.statements;
  }

  /** Runs writes in one transaction. */
  write<T>(work: () => T): T {
    return this.writing(() => inTransaction(this.db, work));
  }

  /**
   * Runs transactions; in a local copy, on the newest store, which the changed copy then replaces, once for those within
   * one another. On an error the store is as before.
   */
  writing<T>(work: () => T): T {
    if (this.#open.copy === undefined || this.#isWriting) return work();
    return this.#open.copy.alone(() => {
      this.refresh();
      const before = this.#changes;
      this.#isWriting = true;
      try {
        const result = work();
        if (this.#changes === before) return result;
        checkWhole(this.db);
        this.#open.copy?.publish();
        return result;
      } catch (error) {
        if (this.#changes !== before) this.#discardChanges();
        throw error;
      } finally {
        this.#isWriting = false;
      }
    });
  }

  /** Copies the store anew if another process has replaced it. Throws `StoreError`. */
  refresh(): void {
    if (this.#open.copy?.isCurrent === false) this.#reopen();
  }

  close(): void {
    this.#open.db.close();
    this.#open.copy?.[Symbol.dispose]();
  }

  /** Number of rows that this connection has changed so far. */
  get #changes(): number {
    return numberOf(this.statements.get("SELECT total_changes() AS n"));
  }

  /** Drops what is committed in the copy only: now, or where that fails, before the next use. */
  #discardChanges(): void {
    this.#open.copy?.discard();
    try {
      this.refresh();
    } catch {
      // The caller reports the first failure.
    }
  }

  #reopen(): void {
    const open = this.#copied();
    this.close();
    this.#open = open;
  }

  #copied(): Open {
    const copy = new WorkingCopy(this.path);
    try {
      // Without a log, so that the file is all there is to publish.
      const db = openDatabase(copy.path, {
        create: this.#create && !existsSync(copy.path),
        journal: "wal",
        onNetwork: true,
        original: this.path,
      });
      return this.#opened(db, copy);
    } catch (error) {
      copy[Symbol.dispose]();
      throw error;
    }
  }

  #opened(db: DatabaseSync, copy?: WorkingCopy): Open {
    return { db, statements: new Statements(db, this.path, this.#onDamage), copy };
  }
}

interface Open {
  readonly db: DatabaseSync;
  readonly statements: Statements;
  /** What the database is, if it is a copy. */
  readonly copy: WorkingCopy | undefined;
}
