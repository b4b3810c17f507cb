import { css, html, LitElement, nothing, unsafeCSS } from "lit";
import { drawFigure, figureStyles, heightOf, width } from "../../drawing/figure.ts";
import { short } from "../../drawing/format.ts";
import { figureAsTable, figureInWords } from "../../drawing/words.ts";
import { type ReportFigure, sourceInWords } from "../../server/protocol/report.ts";
import { shared } from "../common/styles.ts";
import { nodeOf } from "./node.ts";
import { pngOf, standaloneSvg } from "./picture.ts";

/** Maximum number of rows of the data table in the page; the exported JSON has all. */
const tableRows = 200;

export type SaveRequest =
  | { readonly format: "svg"; readonly figure: string; readonly text: string }
  | { readonly format: "png"; readonly figure: string; readonly base64: string };

/** One figure: drawn, in words, as a table on request, and as a file. Fires `save-figure`. */
export class FigureView extends LitElement {
  static override properties = { figure: { attribute: false }, asTable: { state: true } };
  static override styles = [shared, unsafeCSS(figureStyles), sheet()];

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
      <svg viewBox="0 0 ${width} ${heightOf(figure)}" role="img" aria-label=${`${figure.title}. ${words}`}>${drawFigure(figure).map(nodeOf)}</svg>
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
    .source { margin-left: 8px; }
    .rows { max-height: 240px; overflow: auto; margin-top: 6px; }
    .rows th { position: sticky; top: 0; background: var(--vscode-editor-background); }
  `;
}
