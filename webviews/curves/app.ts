import "@vscode-elements/elements/dist/vscode-button/index.js";
import { css, html, LitElement, nothing } from "lit";
import type { z } from "zod";
import { CurvesPage } from "../../server/protocol/run-pages.ts";
import { alertOf, failureOf } from "../common/failure.ts";
import { connect } from "../common/host.ts";
import { keepScroll } from "../common/scroll.ts";
import { shared } from "../common/styles.ts";
import { MOST_SAVED, type SaveRequest } from "./chart.ts";
import { ChartChoices } from "./chart-choices.ts";
import { LogReader } from "./log-reader.ts";
import { chartsOf, type LogLine } from "./series.ts";

type Head = z.output<typeof CurvesPage.tells.changed>;

/** The curves of a run, which grow while it runs. */
export class CurvesApp extends LitElement {
  static override properties = {
    head: { state: true },
    lines: { state: true },
    failure: { state: true },
  };
  static override styles = [shared, sheet()];

  declare head: Head | undefined;
  declare lines: readonly LogLine[];
  declare failure: string;
  readonly #host = connect(CurvesPage);
  readonly #charts = new ChartChoices(this.#host.state, {
    host: this,
    keep: (choices) => this.#host.keep({ ...this.#host.state, ...choices }),
    save: (request) => this.#save(request),
  });
  readonly #log = new LogReader(
    (offset) => this.#host.ask("series", { offset }),
    (lines) => {
      this.lines = lines;
    },
  );

  constructor() {
    super();
    this.lines = [];
    this.failure = "";
    this.#host.on("changed", (head) => {
      this.head = head;
      void this.#ask(this.#log.readOn());
    });
    void this.#open().then(async () => {
      await this.updateComplete;
      keepScroll(this.#host.state.scroll, (scroll) => this.#host.keep({ ...this.#host.state, scroll }));
    });
  }

  override render() {
    const charts = chartsOf(this.lines);
    return html`<main>
      <h1>${this.head?.name ?? "Curves"}</h1>
      <span class="dim">${this.head === undefined ? nothing : stateOf(this.head)}</span>
      <div class="tools">
        <vscode-button secondary @click=${() => this.#ask(this.#host.ask("openLog", {}))}>Open log</vscode-button>
      </div>
      ${alertOf(this.failure)}
      ${charts.length > 0 ? nothing : html`<p class="dim">${noCurves(this.head)}</p>`}
      ${this.#charts.list(charts, this.head?.state.kind === "running")}
    </main>`;
  }

  async #open(): Promise<void> {
    await this.#ask(
      this.#host.ask("open", {}).then((head) => {
        this.head = head;
      }),
    );
    await this.#ask(this.#log.readOn());
  }

  async #ask(asked: Promise<unknown>): Promise<void> {
    this.failure = await failureOf(asked);
  }

  #save(request: SaveRequest): void {
    if (request.text.length > MOST_SAVED) this.failure = "The chart has too many steps for a file; log.jsonl has all.";
    else void this.#ask(this.#host.ask("save", request));
  }
}

customElements.define("lfp-curves", CurvesApp);

/** Why nothing is drawn. */
function noCurves(head: Head | undefined): string {
  return head?.state.kind === "done"
    ? "No curves: the run's folder has no log of its steps."
    : "No curves yet: they begin with the first step of tuning.";
}

function stateOf({ state }: Head): string {
  switch (state.kind) {
    case "running":
      return `running: ${state.stage}`;
    case "waiting":
      return `waiting for ${state.for}`;
    case "failed":
      return `failed: ${state.message}`;
    case "unreadable":
      return state.message;
    case "new":
      return "not started";
    default:
      return state.kind;
  }
}

function sheet() {
  return css`
    .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 22px 26px; margin-top: 12px; }
    lfp-chart { min-width: 0; }
  `;
}
