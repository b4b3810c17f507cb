import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-checkbox/index.js";
import "@vscode-elements/elements/dist/vscode-option/index.js";
import "@vscode-elements/elements/dist/vscode-single-select/index.js";
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import "./table.ts";
import { css, html, LitElement, nothing } from "lit";
import type { z } from "zod";
import { count } from "../../drawing/format.ts";
import { type FeatureColumn, FeaturesPage } from "../../server/protocol/feature-pages.ts";
import { earlierInWords, FeatureQuery, type FeatureRow } from "../../server/protocol/features.ts";
import { alertOf, failureOf, messageOf } from "../common/failure.ts";
import { connect } from "../common/host.ts";
import { closeMenus } from "../common/menus.ts";
import { shared } from "../common/styles.ts";
import { columnNames, columns, type Sort, usualColumns } from "./columns.ts";
import { Rows } from "./rows.ts";
import { FeatureTable, type OpenFeature, totalInWords } from "./table.ts";

type Opened = z.output<typeof FeaturesPage.asks.open.result>;

/** Delay after the last key before the search starts (debounce). */
const searchDelayMs = 150;

/** The page of all features: search, filters, columns, and the table. */
export class FeaturesApp extends LitElement {
  static override properties = {
    opened: { state: true },
    query: { state: true },
    shown: { state: true },
    failure: { state: true },
    version: { state: true },
  };
  static override styles = [shared, sheet()];

  declare opened: Opened | undefined;
  declare query: FeatureQuery;
  declare shown: readonly FeatureColumn[];
  declare failure: string;
  declare version: number;
  readonly #host = connect(FeaturesPage);
  readonly #rows: Rows;
  #typing: number | undefined;
  #leftAt: number | undefined;
  #forgetMenus: () => void = () => undefined;

  constructor() {
    super();
    const { query, columns: kept, scroll } = this.#host.state;
    this.query = query ?? FeatureQuery.parse({});
    this.shown = kept ?? usualColumns;
    this.#leftAt = scroll;
    this.failure = "";
    this.version = 0;
    this.#rows = new Rows(
      async (offset, most) => await this.#host.ask("query", { query: this.query, offset, count: most }),
      (error) => {
        this.failure = error === undefined ? "" : messageOf(error);
        if (error === undefined) void this.#scrollBack();
        this.version += 1;
      },
    );
    this.#host.on("changed", () => void this.#open());
    void this.#open();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#forgetMenus = closeMenus(this.renderRoot);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#forgetMenus();
  }

  override render() {
    return html`<main>
      <header>
        <h1>Features</h1>
        <span class="dim">${this.#subtitle()}</span>
        ${this.#tools()}
        ${(this.opened?.store.earlier ?? []).map((one) => html`<p class="small dim">${earlierInWords(one)}</p>`)}
        ${alertOf(this.failure)}
      </header>
      <lfp-feature-table
        .rows=${this.#rows}
        .shown=${this.shown}
        .query=${this.query}
        .version=${this.version}
        @sort-by=${this.#sortBy}
        @open-feature=${({ detail }: CustomEvent<OpenFeature>) => this.#ask(this.#host.ask("openFeature", { ...detail, query: this.query }))}
        @pin-feature=${({ detail }: CustomEvent<FeatureRow>) => this.#pin(detail)}
        @scrollend=${{ handleEvent: () => this.#keep(), capture: true }}
      ></lfp-feature-table>
      <div class="total dim small" role="status">${totalInWords(this.#rows.total)}</div>
    </main>`;
  }

  #subtitle(): string {
    const { opened } = this;
    if (opened === undefined) return "";
    const { model, size } = this.query.dictionary;
    const found = opened.store.dictionaries.find(
      (dictionary) => dictionary.model === model && dictionary.size === size,
    );
    if (found === undefined) return opened.runName;
    const { layers, features, alive } = found;
    return `${opened.runName} · ${model} model, ${size} dictionaries · ${layers.length === 1 ? "layer" : "layers"} ${layers.join(", ")} · ${count(features)} features, ${count(alive)} alive`;
  }

  #tools() {
    const { query } = this;
    const dictionaries = this.opened?.store.dictionaries ?? [];
    const layers =
      dictionaries.find(({ model, size }) => model === query.dictionary.model && size === query.dictionary.size)
        ?.layers ?? [];
    return html`<div class="tools" role="search">
      <vscode-textfield class="search" .label=${"Search features"} placeholder="Words, F11, density&lt;1%" .value=${query.search} @input=${this.#onSearch}></vscode-textfield>
      ${select(
        "Dictionary",
        `${query.dictionary.model} ${query.dictionary.size}`,
        dictionaries.map(({ model, size }) => [`${model} ${size}`, `${model}, ${size}`]),
        (value) => this.#chooseDictionary(value),
      )}
      ${select("Layer", String(query.layers[0] ?? ""), [["", "Layer: all"], ...layers.map((layer): [string, string] => [String(layer), `Layer ${layer}`])], (value) => this.#set({ layers: value === "" ? [] : [Number(value)] }))}
      ${select("Label", query.label ?? "", [["", "Label: any"], ...(this.opened?.store.labels ?? []).map((label): [string, string] => [label, label])], (value) => this.#set({ label: value === "" ? null : value }))}
      ${this.#toggle("Relevant only", query.relevant === true, (on) => ({ relevant: on ? true : null }))}
      ${this.#toggle("Pinned", query.pinned, (on) => ({ pinned: on }))}
      ${this.#toggle("Dead too", query.includeDead, (on) => ({ includeDead: on }))}
      <details class="menu"><summary>Columns</summary><div class="list columns">${columnNames.map(
        (name) =>
          html`<vscode-checkbox label=${columns[name].title} ?checked=${this.shown.includes(name)} @change=${() => this.#toggleColumn(name)}></vscode-checkbox><span class="about dim small">${columns[name].about}</span>`,
      )}</div></details>
      <details class="menu"><summary>Export</summary><div class="list">
        <button class="link" @click=${() => this.#ask(this.#host.ask("save", { format: "csv", query }))}>As CSV</button>
        <button class="link" @click=${() => this.#ask(this.#host.ask("save", { format: "json", query }))}>As JSON</button>
      </div></details>
      <vscode-button @click=${() => this.#ask(this.#host.ask("explain", { ids: null }))}>Explain…</vscode-button>
    </div>`;
  }

  #toggle(label: string, checked: boolean, change: (on: boolean) => Partial<FeatureQuery>) {
    return html`<vscode-checkbox label=${label} ?checked=${checked} @change=${() => this.#set(change(!checked))}></vscode-checkbox>`;
  }

  async #open(): Promise<void> {
    await this.#ask(
      this.#host.ask("open", {}).then((opened) => {
        this.opened = opened;
      }),
    );
    this.#renew();
  }

  #set(change: Partial<FeatureQuery>): void {
    this.query = { ...this.query, ...change };
    this.#table()?.scrollToOffset(0);
    this.#keep();
    this.#renew();
  }

  /** Requests the first rows at once; the visible ones follow when the total is known. */
  #renew(): void {
    this.#rows.renew();
    this.#rows.need(0, 0);
    this.version += 1;
  }

  #onSearch(event: Event): void {
    const { target } = event;
    const text = target instanceof HTMLElement && "value" in target ? String(target.value) : "";
    window.clearTimeout(this.#typing);
    this.#typing = window.setTimeout(() => this.#search(text.slice(0, 500)), searchDelayMs);
  }

  /** Sorts by how well features match, unless a person sorted by a column. */
  #search(search: string): void {
    const { sort } = this.query;
    const [usual, found] = ["contribution", "match"] as const;
    const isSearch = search.trim() !== "";
    this.#set({ search, sort: sort === usual && isSearch ? found : sort === found && !isSearch ? usual : sort });
  }

  #chooseDictionary(value: string): void {
    const chosen = this.opened?.store.dictionaries.find(({ model, size }) => `${model} ${size}` === value);
    if (chosen !== undefined) this.#set({ dictionary: { model: chosen.model, size: chosen.size }, layers: [] });
  }

  #sortBy({ detail }: CustomEvent<Sort>): void {
    this.#set({ sort: detail, descending: this.query.sort === detail ? !this.query.descending : detail !== "id" });
  }

  #toggleColumn(name: FeatureColumn): void {
    this.shown = columnNames.filter((other) => this.shown.includes(other) !== (other === name));
    this.#keep();
  }

  async #pin({ id, pinned }: FeatureRow): Promise<void> {
    await this.#ask(
      this.#host.ask("annotate", { id, pinned: !pinned }).then((row) => {
        this.#rows.replace(row);
        this.version += 1;
      }),
    );
  }

  /** Restores the scroll position, once, when the first rows have arrived. */
  async #scrollBack(): Promise<void> {
    const offset = this.#leftAt;
    if (offset === undefined) return;
    this.#leftAt = undefined;
    await this.updateComplete;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    this.#table()?.scrollToOffset(offset);
  }

  #keep(): void {
    this.#host.keep({ query: this.query, columns: [...this.shown], scroll: Math.round(this.#table()?.offset ?? 0) });
  }

  #table(): FeatureTable | null {
    const table = this.renderRoot.querySelector("lfp-feature-table");
    return table instanceof FeatureTable ? table : null;
  }

  async #ask(asked: Promise<unknown>): Promise<void> {
    this.failure = await failureOf(asked);
  }
}

customElements.define("lfp-features", FeaturesApp);

function select(
  label: string,
  value: string,
  options: readonly (readonly [string, string])[],
  choose: (value: string) => void,
) {
  if (options.length < 2) return nothing;
  const change = ({ target }: Event): void => {
    if (target instanceof HTMLElement && "value" in target) choose(String(target.value));
  };
  return html`<vscode-single-select .label=${label} .value=${value} @change=${change}>
    ${options.map(([id, name]) => html`<vscode-option value=${id} ?selected=${id === value}>${name}</vscode-option>`)}
  </vscode-single-select>`;
}

function sheet() {
  return css`
    main { display: flex; flex-direction: column; height: calc(100vh - 24px); }
    lfp-feature-table { flex: 1; }
    .search { width: 220px; }
    vscode-single-select { width: auto; min-width: 92px; }
    .menu { position: relative; }
    .menu summary { cursor: pointer; list-style: none; padding: 3px 10px; border: 1px solid var(--lfp-line); border-radius: 2px; background: var(--vscode-button-secondaryBackground); color: var(--vscode-button-secondaryForeground); }
    .menu summary:focus-visible { outline: 1px solid var(--vscode-focusBorder); }
    .menu .list { position: absolute; z-index: 2; top: calc(100% + 2px); left: 0; display: flex; flex-direction: column; gap: 2px; align-items: start; padding: 8px 12px; min-width: 150px; background: var(--vscode-editorWidget-background); border: 1px solid var(--lfp-line); box-shadow: 0 2px 8px var(--vscode-widget-shadow, rgba(0, 0, 0, 0.36)); }
    .menu .columns { width: 340px; max-height: 60vh; overflow: auto; }
    .about { margin: -4px 0 6px 24px; }
    .total { padding-top: 4px; }
  `;
}
