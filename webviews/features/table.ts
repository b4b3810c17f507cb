import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { count } from "../../drawing/format.ts";
import type { FeatureColumn } from "../../server/protocol/feature-pages.ts";
import type { FeatureQuery, FeatureRow } from "../../server/protocol/features.ts";
import { shared } from "../common/styles.ts";
import { columns, type Sort } from "./columns.ts";
import type { Rows } from "./rows.ts";

const rowHeight = 28;
/**
 * Rows rendered beyond the visible ones on either side; even on the tallest screens fewer than 100 are rendered in all.
 */
const overscan = 6;

/** Which feature a person opens, and whether its tab stays when they open the next one. */
export interface OpenFeature {
  readonly id: string;
  readonly keep: boolean;
}

/**
 * The table of features, virtualised: only rows in sight are elements. Fires `sort-by` with a column's sort,
 * `open-feature` with an `OpenFeature` and `pin-feature` with a row.
 */
export class FeatureTable extends LitElement {
  static override properties = {
    rows: { attribute: false },
    shown: { attribute: false },
    query: { attribute: false },
    /** Incremented whenever rows arrive. */
    version: { attribute: false },
    active: { state: true },
  };
  static override styles = [shared, sheet()];

  declare rows: Rows;
  declare shown: readonly FeatureColumn[];
  declare query: FeatureQuery;
  declare version: number;
  declare active: number;
  #virtualizer: Virtualizer<HTMLElement, HTMLElement> | undefined;
  #unmount: (() => void) | undefined;

  constructor() {
    super();
    this.active = 0;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unmount?.();
    this.#virtualizer = undefined;
  }

  /** Scrolls to an offset in pixels, for instance when a page is restored. */
  scrollToOffset(offset: number): void {
    this.#virtualizer?.scrollToOffset(offset);
  }

  get offset(): number {
    return this.#virtualizer?.scrollOffset ?? 0;
  }

  override render() {
    const items = this.#virtualizer?.getVirtualItems() ?? [];
    const [first, last] = [items[0], items.at(-1)];
    if (first !== undefined && last !== undefined) this.rows.need(first.index, last.index);
    const total = this.rows.total ?? 0;
    return html`<div
      class="grid"
      role="grid"
      aria-label="Features"
      aria-rowcount=${total + 1}
      aria-colcount=${this.shown.length}
      aria-activedescendant=${total > 0 ? `row-${this.active}` : nothing}
      tabindex="0"
      @keydown=${this.#onKey}
    >
      <div class="row head" role="row" aria-rowindex="1">${this.shown.map((name) => this.#heading(name))}</div>
      <div class="body" role="presentation" .style=${`height: ${this.#virtualizer?.getTotalSize() ?? 0}px`}>
        ${repeat(
          items,
          ({ key }) => key,
          ({ index, start }) => this.#row(index, start),
        )}
      </div>
      ${this.rows.total === 0 ? html`<p class="dim none">No feature fits.</p>` : nothing}
    </div>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has("shown"))
      this.style.setProperty("--columns", this.shown.map((name) => columns[name].width).join(" "));
    const total = this.rows.total ?? 0;
    if (this.#virtualizer === undefined) {
      this.#mount(total);
    } else if (this.#virtualizer.options.count !== total) {
      this.#virtualizer.setOptions({ ...this.#virtualizer.options, count: total });
      this.#virtualizer._willUpdate();
      this.active = Math.max(0, Math.min(this.active, total - 1));
      this.requestUpdate();
    }
  }

  #mount(total: number): void {
    this.#virtualizer = new Virtualizer<HTMLElement, HTMLElement>({
      count: total,
      getScrollElement: () => {
        const grid = this.renderRoot.querySelector(".grid");
        return grid instanceof HTMLElement ? grid : null;
      },
      estimateSize: () => rowHeight,
      // The heading is above the rows and stays in sight.
      scrollPaddingStart: rowHeight,
      overscan,
      observeElementRect,
      observeElementOffset,
      scrollToFn: elementScroll,
      onChange: () => this.requestUpdate(),
    });
    this.#unmount = this.#virtualizer._didMount();
    this.#virtualizer._willUpdate();
    this.rows.need(0, 0);
    this.requestUpdate();
  }

  #heading(name: FeatureColumn) {
    const { title, about, isNumber, sort } = columns[name];
    const isSorted = sort !== undefined && this.query.sort === sort;
    const direction = isSorted ? (this.query.descending ? "descending" : "ascending") : "none";
    const arrow = isSorted ? html`<span aria-hidden="true">${this.query.descending ? "↓" : "↑"}</span>` : nothing;
    return html`<div role="columnheader" class=${isNumber ? "num" : ""} title=${about} aria-sort=${sort === undefined ? nothing : direction}>
      ${
        sort === undefined
          ? html`<span class=${name === "pinned" ? "hidden" : ""}>${title}</span>`
          : html`<button class="sort" @click=${() => this.#fire<Sort>("sort-by", sort)}>${title} ${arrow}</button>`
      }
    </div>`;
  }

  #row(index: number, start: number) {
    const row = this.rows.at(index);
    const classes = `row ${index === this.active ? "active" : ""}`;
    return html`<div
      id=${`row-${index}`}
      class=${classes}
      role="row"
      aria-rowindex=${index + 2}
      .style=${`transform: translateY(${start}px)`}
      @click=${(event: MouseEvent) => this.#click(index, row, event)}
    >
      ${row === undefined ? html`<div role="gridcell" class="dim">…</div>` : this.shown.map((name) => this.#cell(name, row))}
    </div>`;
  }

  #cell(name: FeatureColumn, row: FeatureRow) {
    const { isNumber, cell } = columns[name];
    if (name !== "pinned") return html`<div role="gridcell" class=${isNumber ? "num" : ""}>${cell(row)}</div>`;
    const pin = (event: Event): void => {
      event.stopPropagation();
      this.#fire("pin-feature", row);
    };
    return html`<div role="gridcell"><button class="pin" tabindex="-1" aria-pressed=${row.pinned}
      aria-label=${`Pin ${row.id}`} @click=${pin}>${row.pinned ? "★" : "☆"}</button></div>`;
  }

  #click(index: number, row: FeatureRow | undefined, event: MouseEvent): void {
    this.active = index;
    if (row !== undefined) this.#open(row, event);
  }

  /** Opens a feature as a preview; with Ctrl or Cmd in a tab that stays. */
  #open({ id }: FeatureRow, { ctrlKey, metaKey }: MouseEvent | KeyboardEvent): void {
    this.#fire<OpenFeature>("open-feature", { id, keep: ctrlKey || metaKey });
  }

  #onKey(event: KeyboardEvent): void {
    if (event.target instanceof HTMLButtonElement) return;
    const total = this.rows.total ?? 0;
    const page = Math.max(1, Math.floor(this.clientHeight / rowHeight) - 2);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: total - 1,
    };
    const next = moves[event.key];
    const row = this.rows.at(this.active);
    if (next !== undefined) {
      this.active = Math.max(0, Math.min(total - 1, next));
      this.#virtualizer?.scrollToIndex(this.active);
    } else if (event.key === "Enter" && row !== undefined) {
      this.#open(row, event);
    } else if (event.key === " " && row !== undefined) {
      this.#fire("pin-feature", row);
    } else {
      return;
    }
    event.preventDefault();
  }

  #fire<T>(name: string, detail: T): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

customElements.define("lfp-feature-table", FeatureTable);

/** `1,920 features`, as the status line says it. */
export function totalInWords(total: number | undefined): string {
  return total === undefined ? "…" : `${count(total)} ${total === 1 ? "feature" : "features"}`;
}

function sheet() {
  return css`
    :host { min-height: 0; }
    .grid { height: 100%; overflow: auto; position: relative; border-top: 1px solid var(--lfp-line); }
    .body { position: relative; min-width: min-content; }
    .row { display: grid; grid-template-columns: var(--columns); height: ${rowHeight}px; align-items: center; border-bottom: 1px solid var(--lfp-line); box-sizing: border-box; min-width: min-content; }
    .body .row { position: absolute; top: 0; left: 0; right: 0; cursor: pointer; }
    .body .row:hover { background: var(--vscode-list-hoverBackground); }
    .grid:focus-visible .row.active { outline: 1px solid var(--vscode-focusBorder); outline-offset: -1px; }
    .head { position: sticky; top: 0; z-index: 1; background: var(--vscode-editor-background); font-size: 12px; font-weight: 600; }
    .row > div { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding: 0 8px; }
    .sort { appearance: none; background: none; border: 0; padding: 0; color: inherit; font: inherit; cursor: pointer; }
    .sort:focus-visible { outline: 1px solid var(--vscode-focusBorder); }
    .pin { appearance: none; background: none; border: 0; padding: 0; color: var(--lfp-dim); font: inherit; cursor: pointer; }
    .pin[aria-pressed="true"] { color: var(--vscode-foreground); }
    .hidden { position: absolute; clip-path: inset(50%); }
    .spark { vertical-align: middle; }
    .spark polyline { fill: none; stroke: var(--lfp-dim); }
    .spark.positive polyline { stroke: rgb(var(--pos)); }
    .spark.negative polyline { stroke: rgb(var(--neg)); stroke-dasharray: 3 1.5; }
    .none { padding: 12px 8px; margin: 0; }
  `;
}
