/** Caches a query's rows from the host: page by page, each requested once, dropped when the query changes. */
import type { FeatureRow } from "../../server/protocol/features.ts";

/** Rows per request. */
const pageSize = 100;
/** Maximum number of cached pages, so that scrolling through everything does not fill the memory. */
const mostPages = 60;

export interface RowPage {
  readonly total: number;
  readonly rows: readonly FeatureRow[];
}

/**
 * Rows by their index in the query: `need` requests them; `changed` is called when they arrive or the request fails.
 */
export class Rows {
  readonly #ask: (offset: number, count: number) => Promise<RowPage>;
  readonly #changed: (error: unknown) => void;
  readonly #pages = new Map<number, readonly FeatureRow[] | "asked">();
  #total: number | undefined;
  /** Number of the current query; answers to an earlier query are discarded. */
  #generation = 0;

  constructor(ask: (offset: number, count: number) => Promise<RowPage>, changed: (error: unknown) => void) {
    this.#ask = ask;
    this.#changed = changed;
  }

  /** Total number of rows; undefined until the first page has arrived. */
  get total(): number | undefined {
    return this.#total;
  }

  at(index: number): FeatureRow | undefined {
    const page = this.#pages.get(Math.floor(index / pageSize));
    return page === undefined || page === "asked" ? undefined : page[index % pageSize];
  }

  /** Forgets all rows. The total stays until the new one is known, so that the table does not jump. */
  renew(): void {
    this.#generation += 1;
    this.#pages.clear();
  }

  /** Ensures that the rows from `first` to `last` are cached or requested. */
  need(first: number, last: number): void {
    for (let page = Math.floor(first / pageSize); page <= Math.floor(last / pageSize); page += 1)
      if (!this.#pages.has(page)) void this.#load(page);
  }

  /** Replaces a row that was changed. */
  replace(row: FeatureRow): void {
    for (const [page, rows] of this.#pages)
      if (rows !== "asked" && rows.some(({ id }) => id === row.id))
        this.#pages.set(
          page,
          rows.map((old) => (old.id === row.id ? row : old)),
        );
  }

  async #load(page: number): Promise<void> {
    const generation = this.#generation;
    this.#pages.set(page, "asked");
    try {
      const { total, rows } = await this.#ask(page * pageSize, pageSize);
      if (generation !== this.#generation) return;
      this.#total = total;
      this.#pages.set(page, rows);
      this.#dropFarFrom(page);
      this.#changed(undefined);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#pages.delete(page);
      this.#changed(error);
    }
  }

  #dropFarFrom(page: number): void {
    const far = [...this.#pages.keys()].sort((a, b) => Math.abs(b - page) - Math.abs(a - page));
    for (const other of far.slice(0, Math.max(0, this.#pages.size - mostPages))) this.#pages.delete(other);
  }
}
