import "@vscode-elements/elements/dist/vscode-button/index.js";
import "./figure.ts";
import { css, html, LitElement, nothing } from "lit";
import { prose, short } from "../../drawing/format.ts";
import {
  type Report,
  type ReportCell,
  type ReportSection,
  type ReportTable,
  seedsInWords,
  sourceInWords,
} from "../../server/protocol/report.ts";
import { ReportPage } from "../../server/protocol/run-pages.ts";
import { alertOf, failureOf } from "../common/failure.ts";
import { connect } from "../common/host.ts";
import { keepScroll } from "../common/scroll.ts";
import { shared } from "../common/styles.ts";
import type { SaveRequest } from "./figure.ts";

/** A run's report: findings, then each section with its figures and tables. */
export class ReportApp extends LitElement {
  static override properties = { report: { state: true }, failure: { state: true } };
  static override styles = [shared, sheet()];

  declare report: Report | undefined;
  declare failure: string;
  readonly #host = connect(ReportPage);

  constructor() {
    super();
    this.failure = "";
    this.#host.on("changed", () => void this.#ask(this.#open()));
    void this.#ask(
      this.#open().then(async () => {
        await this.updateComplete;
        keepScroll(this.#host.state.scroll, (scroll) => this.#host.keep({ scroll }));
      }),
    );
  }

  override render() {
    if (this.report === undefined) return alertOf(this.failure);
    const { run, about = [], summary, sections } = this.report;
    return html`<main @save-figure=${this.#saveFigure}>
      <h1>Run ${run}</h1>
      <span class="dim">${seedsInWords(this.report)}</span>
      ${about.length === 0 ? nothing : html`<dl class="about">${about.map(({ name, value }) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`}
      <div class="tools">
        <vscode-button secondary @click=${() => this.#ask(this.#host.ask("openMarkdown", {}))}>Open as Markdown</vscode-button>
        <vscode-button secondary @click=${() => this.#ask(this.#host.ask("saveReport", { format: "markdown" }))}>Save Markdown</vscode-button>
        <vscode-button secondary @click=${() => this.#ask(this.#host.ask("saveReport", { format: "json" }))}>Save JSON</vscode-button>
      </div>
      ${alertOf(this.failure)}
      ${
        sections.length < 2
          ? nothing
          : html`<nav aria-label="Contents"><ol>${sections.map(
              ({ title }, at) => html`<li><button class="link" @click=${() => this.#goTo(at)}>${title}</button></li>`,
            )}</ol></nav>`
      }
      <h2 class="first">Findings</h2>
      <ul class="findings">${summary.map((finding) => html`<li>${prose(finding)}</li>`)}</ul>
      ${sections.map((section, at) => this.#section(section, at))}
    </main>`;
  }

  async #open(): Promise<void> {
    this.report = await this.#host.ask("open", {});
  }

  /** Scrolls to a section and puts the focus there, where a screen reader goes on. */
  #goTo(section: number): void {
    const heading = this.renderRoot.querySelector(`#section-${section}`);
    if (!(heading instanceof HTMLElement)) return;
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  }

  #section({ title, text, figures, tables, afterRun }: ReportSection, at: number) {
    return html`<section class=${afterRun ? "after" : ""}>
      <h2 id=${`section-${at}`} tabindex="-1">${title}</h2>
      ${text.map((paragraph) => html`<p class="text">${withCode(paragraph)}</p>`)}
      ${figures.length === 0 ? nothing : html`<div class="figures">${figures.map((figure) => html`<lfp-figure .figure=${figure}></lfp-figure>`)}</div>`}
      ${tables.map((table) => reportTable(table))}
    </section>`;
  }

  #saveFigure({ detail }: CustomEvent<SaveRequest>): void {
    void this.#ask(this.#host.ask("save", detail));
  }

  async #ask(asked: Promise<unknown>): Promise<void> {
    this.failure = await failureOf(asked);
  }
}

customElements.define("lfp-report", ReportApp);

function reportTable({ title, columns, rows, notes, source }: ReportTable) {
  const isNumber = columns.map((_, at) => rows.every((row) => typeof row[at] !== "string"));
  return html`<div class="table" tabindex="0">
    <h3>${title}</h3>
    <table class="data">
      <thead><tr>${columns.map((name, at) => headCell(name, isNumber[at] === true))}</tr></thead>
      <tbody>${rows.map((row) => html`<tr class=${isOfThePaper(row[0]) ? "dim" : ""}>${row.map((cell, at) => html`<td class=${isNumber[at] ? "num" : ""}>${shown(cell)}</td>`)}</tr>`)}</tbody>
    </table>
    <p class="small dim">${withCode(notes.join(" "))} <span class="source">${sourceInWords(source)}.</span></p>
  </div>`;
}

/** A head without a name is no head to a screen reader. */
function headCell(name: string, isNumber: boolean) {
  const classes = isNumber ? "num" : "";
  return name === "" ? html`<td></td>` : html`<th class=${classes} scope="col">${name}</th>`;
}

/** Renders text between backticks as code, as in the report's Markdown. */
function withCode(text: string) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : prose(part)));
}

function shown(cell: ReportCell | undefined): string {
  return typeof cell === "number" ? short(cell) : (cell ?? "–");
}

function isOfThePaper(cell: ReportCell | undefined): boolean {
  return typeof cell === "string" && cell.startsWith("paper, ");
}

function sheet() {
  return css`
    main { max-width: 1180px; }
    .about { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 8px 0 10px; max-width: 900px; }
    .about dt { color: var(--lfp-dim); }
    .about dd { margin: 0; overflow-wrap: anywhere; }
    nav ol { columns: 2; column-gap: 28px; max-width: 900px; margin: 8px 0; padding-left: 22px; }
    nav li { break-inside: avoid; }
    nav .link { text-align: left; min-height: 24px; }
    h2.first { border-top: 0; padding-top: 0; margin-top: 12px; }
    .findings { margin: 8px 0 0; padding-left: 18px; max-width: 900px; }
    .findings li { margin: 3px 0; }
    .text { max-width: 900px; margin: 4px 0 8px; }
    .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 20px 28px; margin: 10px 0 14px; }
    .after { border-left: 3px solid var(--lfp-line); padding-left: 14px; }
    .source { display: inline-block; }
    .source::first-letter { text-transform: uppercase; }
    .table { overflow-x: auto; margin: 12px 0; }
    tr.dim td:first-child { white-space: nowrap; }
    .table p { margin: 3px 0; max-width: 900px; }
    h2 { border-top: 1px solid var(--lfp-line); padding-top: 14px; }
  `;
}
