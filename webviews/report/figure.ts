import { css, html, LitElement, nothing } from "lit";
import { type ReportFigure, sourceInWords } from "../../server/protocol/report.ts";
import { short } from "../common/format.ts";
import { shared } from "../common/styles.ts";
import { drawFigure, heightOf, width } from "./draw.ts";
import { pngOf, standaloneSvg } from "./picture.ts";
import { figureAsTable, figureInWords } from "./words.ts";

/** Maximum number of rows of the data table in the page; the exported JSON has all. */
const tableRows = 200;

export type SaveRequest =
  | { readonly format: "svg"; readonly figure: string; readonly text: string }
  | { readonly format: "png"; readonly figure: string; readonly base64: string };

/** One figure: drawn, in words, as a table on request, and as a file. Fires `save-figure`. */
export class FigureView extends LitElement {
  static override properties = { figure: { attribute: false }, asTable: { state: true } };
  static override styles = [shared, sheet()];

  declare figure: ReportFigure;
  declare asTable: boolean;

  constructor() {
    super();
    this.asTable = false;
  }

  override render() {
    const { figure } = this;
    const words = figureInWords(figure);
    return html`<figure aria-label=${figure.title}>
      <figcaption><h3>${figure.title}</h3></figcaption>
      <svg viewBox="0 0 ${width} ${heightOf(figure)}" role="img" aria-label=${`${figure.title}. ${words}`}>${drawFigure(figure)}</svg>
      <p class="small dim">${words} ${figure.notes.join(" ")}</p>
      <div class="small">
        <button class="link" aria-expanded=${this.asTable} @click=${() => (this.asTable = !this.asTable)}>
          ${this.asTable ? "Hide the data" : "Show data as table"}
        </button>
        · <button class="link" @click=${() => void this.#save("svg")}>Save as SVG</button>
        · <button class="link" @click=${() => void this.#save("png")}>Save as PNG</button>
        <span class="dim source">${sourceInWords(figure.source)}</span>
      </div>
      ${this.asTable ? this.#table() : nothing}
    </figure>`;
  }

  #table() {
    const { columns, rows } = figureAsTable(this.figure);
    return html`<div class="rows" tabindex="0"><table class="data" aria-label=${this.figure.title}>
      <thead><tr>${columns.map((name) => html`<th>${name}</th>`)}</tr></thead>
      <tbody>${rows
        .slice(0, tableRows)
        .map(
          (row) =>
            html`<tr>${row.map((cell) => html`<td class=${typeof cell === "number" ? "num" : ""}>${typeof cell === "number" ? short(cell) : (cell ?? "–")}</td>`)}</tr>`,
        )}</tbody></table>
      ${rows.length > tableRows ? html`<p class="small dim">The first ${tableRows} of ${rows.length}; report.json has all.</p>` : nothing}
    </div>`;
  }

  async #save(format: "svg" | "png"): Promise<void> {
    const drawn = this.renderRoot.querySelector("svg");
    if (!(drawn instanceof SVGSVGElement)) return;
    const text = standaloneSvg(drawn);
    const { id } = this.figure;
    const detail: SaveRequest =
      format === "svg"
        ? { format, figure: id, text }
        : { format, figure: id, base64: await pngOf(text, { width, height: heightOf(this.figure) }) };
    this.dispatchEvent(new CustomEvent("save-figure", { detail, bubbles: true, composed: true }));
  }
}

customElements.define("lfp-figure", FigureView);

function sheet() {
  return css`
    figure { margin: 0; }
    svg { display: block; width: 100%; max-width: ${width}px; height: auto; }
    p { margin: 2px 0 4px; max-width: ${width}px; }
    text { fill: var(--vscode-foreground); font: 11px var(--vscode-font-family); }
    .tick, .axis { fill: var(--lfp-dim); }
    .grid { stroke: var(--lfp-line); stroke-width: 1; stroke-opacity: var(--lfp-grid-opacity, 1); }
    .zero { stroke: var(--lfp-dim); stroke-width: 1; }
    .diagonal { stroke: var(--lfp-dim); stroke-width: 1; stroke-dasharray: 4 3; }
    .fill { fill-opacity: 0.75; }
    .fill.g0 { fill: rgb(var(--pos)); }
    .fill.g1 { fill: var(--lfp-dim); fill-opacity: 0.45; }
    .fill.g2 { fill: rgb(var(--neg)); }
    .mark { fill: none; stroke-width: 1.1; stroke-opacity: 0.75; }
    .mark.g0 { stroke: rgb(var(--pos)); }
    .mark.g1 { stroke: rgb(var(--neg)); }
    .mark.g2 { stroke: var(--vscode-charts-green); }
    .bar { stroke-width: 2; }
    .bar.positive { stroke: rgb(var(--pos)); }
    .bar.negative { stroke: rgb(var(--neg)); }
    .bar.control { stroke: var(--lfp-dim); }
    .dot.positive { fill: rgb(var(--pos)); }
    .dot.negative { fill: rgb(var(--neg)); }
    .dot.control { fill: var(--lfp-dim); }
    .source { margin-left: 8px; }
    .rows { max-height: 240px; overflow: auto; margin-top: 6px; }
    .rows th { position: sticky; top: 0; background: var(--vscode-editor-background); }
  `;
}
