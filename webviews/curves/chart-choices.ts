/** The charts of a page, and what a person chooses about them: which are shown as tables, and which curves are hidden. */
import "./chart.ts";
import { html, type ReactiveControllerHost, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { SaveRequest } from "./chart.ts";
import { curveKey, hiddenOf, toggled } from "./hidden.ts";
import type { Chart } from "./series.ts";

/** What is kept with the page. */
export interface KeptChoices {
  /** Ids of charts shown as tables. */
  readonly asTable: readonly string[];
  /** Hidden curves, each by its chart's id, a space and its name. */
  readonly hidden: readonly string[];
}

export interface ChartPage {
  readonly host: Pick<ReactiveControllerHost, "requestUpdate">;
  readonly keep: (choices: { asTable: string[]; hidden: string[] }) => void;
  readonly save: (request: SaveRequest) => void;
}

export class ChartChoices {
  readonly #page: ChartPage;
  #kept: KeptChoices;

  constructor(kept: KeptChoices, page: ChartPage) {
    this.#kept = kept;
    this.#page = page;
  }

  /** The charts, one below or beside the other. */
  list(charts: readonly Chart[], isRunning = false): TemplateResult {
    return html`<div class="charts" @toggle-table=${this.#toggleTable} @save-chart=${this.#save}>
      ${repeat(
        charts,
        ({ id }) => id,
        (
          chart,
        ) => html`<lfp-chart .chart=${chart} .asTable=${this.#kept.asTable.includes(chart.id)} .isRunning=${isRunning}
          .hiddenCurves=${hiddenOf(chart.id, this.#kept.hidden)} @toggle-curve=${({ detail }: CustomEvent<string>) => this.#toggleCurve(chart.id, detail)}></lfp-chart>`,
      )}
    </div>`;
  }

  readonly #save = ({ detail }: CustomEvent<SaveRequest>): void => this.#page.save(detail);

  readonly #toggleTable = ({ detail }: CustomEvent<string>): void => {
    this.#choose({ ...this.#kept, asTable: toggled(this.#kept.asTable, detail) });
  };

  #toggleCurve(chart: string, name: string): void {
    this.#choose({ ...this.#kept, hidden: toggled(this.#kept.hidden, curveKey(chart, name)) });
  }

  #choose(kept: KeptChoices): void {
    this.#kept = kept;
    this.#page.keep({ asTable: [...kept.asTable], hidden: [...kept.hidden] });
    this.#page.host.requestUpdate();
  }
}
