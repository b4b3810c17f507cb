import "@vscode-elements/elements/dist/vscode-button/index.js";
import { css, html, LitElement, nothing } from "lit";
import { ComparePage } from "../../server/protocol/compare-page.ts";
import type { RunComparison } from "../../server/protocol/comparison.ts";
import { alertOf, failureOf } from "../common/failure.ts";
import { connect } from "../common/host.ts";
import { keepScroll } from "../common/scroll.ts";
import { shared } from "../common/styles.ts";
import { MOST_SAVED, type SaveRequest } from "../curves/chart.ts";
import { ChartChoices } from "../curves/chart-choices.ts";
import { LogReader } from "../curves/log-reader.ts";
import type { LogLine } from "../curves/series.ts";
import { mergedCharts } from "./merge.ts";
import { findingsTable, runsTable, settingsTable } from "./tables.ts";

/** Two runs by their places in the comparison: `a` minus `b`. */
interface Sides {
  readonly a: number;
  readonly b: number;
}

/** Runs side by side: settings that differ, findings, and the curves of all in one chart each. */
export class CompareApp extends LitElement {
  static override properties = {
    comparison: { state: true },
    logs: { state: true },
    failure: { state: true },
    sides: { state: true },
  };
  static override styles = [shared, sheet()];

  declare comparison: RunComparison | undefined;
  /** Log lines by run. */
  declare logs: readonly (readonly LogLine[])[];
  declare failure: string;
  /** The runs whose learned rewards are to be compared in a text. */
  declare sides: Sides;
  readonly #host = connect(ComparePage);
  readonly #charts = new ChartChoices(this.#host.state, {
    host: this,
    keep: (choices) => this.#host.keep({ ...this.#host.state, ...choices }),
    save: (request) => this.#save(request),
  });
  #readers: readonly LogReader[] = [];

  constructor() {
    super();
    this.logs = [];
    this.failure = "";
    this.sides = { a: 0, b: 1 };
    this.#host.on("changed", () => void this.#ask(this.#read()));
    void this.#ask(this.#read()).then(async () => {
      await this.updateComplete;
      keepScroll(this.#host.state.scroll, (scroll) => this.#host.keep({ ...this.#host.state, scroll }));
    });
  }

  override render() {
    const { comparison } = this;
    if (comparison === undefined) return html`<main><h1>Compare runs</h1>${alertOf(this.failure)}</main>`;
    const { runs, notes } = comparison;
    const charts = mergedCharts(runs.map(({ name }, at) => ({ name, lines: this.logs[at] ?? [] })));
    return html`<main>
      <h1>Compare ${runs.length} runs</h1>
      <div class="tools">
        <vscode-button secondary @click=${() => this.#ask(this.#host.ask("saveComparison", { format: "markdown" }))}>Save Markdown</vscode-button>
        <vscode-button secondary @click=${() => this.#ask(this.#host.ask("saveComparison", { format: "csv" }))}>Save CSV</vscode-button>
      </div>
      <div class="tools">
        Colour texts by the learned reward of ${this.#runPick("a", runs)} minus that of ${this.#runPick("b", runs)}
        <vscode-button ?disabled=${this.sides.a === this.sides.b} @click=${() => this.#ask(this.#host.ask("showDifference", this.sides))}>Colour</vscode-button>
      </div>
      ${alertOf(this.failure)}
      ${runsTable(runs, (run) => void this.#ask(this.#host.ask("openReport", { run })))}
      ${notes.length === 0 ? nothing : html`<h2>Before you compare</h2><ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}
      <h2>Settings that differ</h2>
      ${settingsTable(comparison)}
      <h2>Findings</h2>
      <p class="dim">Below each figure its 95 % interval within the run; below a mean over seeds the 95 % interval between them. ↑ higher is better, ↓ lower; other figures have no better direction.</p>
      ${findingsTable(comparison)}
      <h2>Curves</h2>
      ${charts.length > 0 ? nothing : html`<p class="dim">No curves: none of the runs has a log.</p>`}
      ${this.#charts.list(charts)}
    </main>`;
  }

  #runPick(side: keyof Sides, runs: RunComparison["runs"]) {
    const choose = ({ target }: Event): void => {
      if (target instanceof HTMLSelectElement) this.sides = { ...this.sides, [side]: target.selectedIndex };
    };
    const name = side === "a" ? "Run A" : "Run B, which is subtracted";
    return html`<select aria-label=${name} @change=${choose}>${runs.map(
      (run, at) => html`<option ?selected=${at === this.sides[side]}>${run.name}</option>`,
    )}</select>`;
  }

  async #read(): Promise<void> {
    const comparison = await this.#host.ask("open", {});
    if (this.#readers.length !== comparison.runs.length) {
      this.logs = comparison.runs.map(() => []);
      this.#readers = comparison.runs.map((_, run) => this.#readerOf(run));
    }
    this.comparison = comparison;
    await Promise.all(this.#readers.map((reader) => reader.readOn()));
  }

  #readerOf(run: number): LogReader {
    return new LogReader(
      (offset) => this.#host.ask("series", { run, offset }),
      (lines) => {
        this.logs = this.logs.map((log, at) => (at === run ? lines : log));
      },
    );
  }

  async #ask(asked: Promise<unknown>): Promise<void> {
    this.failure = await failureOf(asked);
  }

  #save(request: SaveRequest): void {
    if (request.text.length > MOST_SAVED) this.failure = "The chart has too many steps for a file.";
    else void this.#ask(this.#host.ask("save", request));
  }
}

customElements.define("lfp-compare", CompareApp);

function sheet() {
  return css`
    .table { overflow-x: auto; margin: 6px 0 10px; }
    .table th[scope="row"] { font-weight: normal; text-align: left; }
    table.data td, table.data th { padding-right: 18px; }
    .findings th[scope="row"] { white-space: nowrap; position: sticky; left: 0; background: var(--vscode-editor-background); }
    @media (max-width: 700px) {
      .findings th[scope="row"] { white-space: normal; min-width: 120px; }
    }
    .findings .num { white-space: nowrap; }
    .of { max-width: 180px; overflow: hidden; text-overflow: ellipsis; font-weight: normal; }
    .mark { display: inline-block; width: 14px; }
    .mono { font-family: var(--lfp-mono); white-space: nowrap; }
    .value { max-width: 320px; overflow-wrap: anywhere; }
    .said { max-width: 420px; }
    select {
      font: inherit; max-width: 240px; padding: 2px 4px; color: var(--vscode-dropdown-foreground, inherit);
      background: var(--vscode-dropdown-background, transparent); border: 1px solid var(--vscode-dropdown-border, var(--lfp-line));
    }
    select:focus-visible { outline: 1px solid var(--vscode-focusBorder); }
    .notes { margin: 6px 0; padding-left: 18px; max-width: 900px; }
    p { max-width: 900px; margin: 4px 0; }
    .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 22px 26px; margin-top: 6px; }
    lfp-chart { min-width: 0; }
  `;
}
