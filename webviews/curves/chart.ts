import { css, html, LitElement, nothing, type PropertyValues, unsafeCSS } from "lit";
import uPlot from "uplot";
import uPlotSheet from "uplot/dist/uPlot.min.css";
import { short } from "../common/format.ts";
import { shared } from "../common/styles.ts";
import { isHighContrast, onThemeChange, themeColour } from "../common/theme.ts";
import { type Chart, type Curve, describe } from "./series.ts";

const height = 170;
/** Number of rows in the table, the newest; the log has all. */
const tableRows = 200;

/** One chart: title with the newest values, curves, a description in words, and a table on request. */
export class ChartView extends LitElement {
  static override properties = {
    chart: { attribute: false },
    asTable: { attribute: false },
  };
  static override styles = [unsafeCSS(uPlotSheet), shared, sheet()];

  declare chart: Chart;
  declare asTable: boolean;
  #plot: uPlot | undefined;
  #shape = "";
  #end = new AbortController();
  readonly #size = new ResizeObserver(() => this.#fit());

  override connectedCallback(): void {
    super.connectedCallback();
    this.#end = new AbortController();
    onThemeChange(() => this.#draw(true), this.#end.signal);
    this.#size.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#end.abort();
    this.#size.disconnect();
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  override render() {
    const summary = describe(this.chart, short);
    return html`
      <h2>${this.chart.title}</h2>
      <div class="key small dim">${this.chart.curves.map((curve, at) => this.#key(curve, at))}</div>
      <div class="plot" role="img" aria-label=${`${this.chart.title}. ${summary}`}></div>
      <p class="small dim">${summary}</p>
      <button class="link small" aria-expanded=${this.asTable} @click=${this.#toggle}>
        ${this.asTable ? "Hide the data" : "Show data as table"}
      </button>
      ${this.asTable ? this.#table() : nothing}
    `;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has("chart")) this.#draw(false);
  }

  #key(curve: Curve, at: number) {
    const last = curve.values.findLast((value) => value !== null);
    return html`<span class="entry"><i class="swatch s${at % 4}"></i>
      ${this.chart.curves.length > 1 ? curve.name : "now"} <b>${last == null ? "–" : short(last)}</b>
      ${curve.bandName === undefined ? nothing : html`<span class="band">band: ${curve.bandName}</span>`}</span>`;
  }

  #toggle(): void {
    this.dispatchEvent(new CustomEvent("toggle-table", { detail: this.chart.id, bubbles: true, composed: true }));
  }

  #table() {
    const { xs, curves, x, title } = this.chart;
    const first = Math.max(0, xs.length - tableRows);
    const cell = (values: readonly (number | null)[] | undefined, at: number) => {
      const value = values?.[at];
      return html`<td class="num">${value == null ? "–" : short(value)}</td>`;
    };
    const hasBand = ({ low }: Curve): boolean => low !== undefined;
    return html`<div class="rows" tabindex="0"><table class="data" aria-label=${title}>
      <thead><tr><th class="num">${x}</th>${curves.map(
        (curve) => html`<th class="num">${curve.name}</th>
          ${hasBand(curve) ? html`<th class="num">low</th><th class="num">high</th>` : nothing}`,
      )}</tr></thead>
      <tbody>${xs.slice(first).map((value, row) => {
        const at = first + row;
        return html`<tr><td class="num">${value}</td>${curves.map(
          (curve) =>
            html`${cell(curve.values, at)}${hasBand(curve) ? html`${cell(curve.low, at)}${cell(curve.high, at)}` : nothing}`,
        )}</tr>`;
      })}</tbody></table>
      ${first > 0 ? html`<p class="small dim">The newest ${tableRows} of ${xs.length}; log.jsonl has all.</p>` : nothing}</div>`;
  }

  /** Recreates the plot if colours or curves changed; otherwise only passes it the new numbers. */
  #draw(anew: boolean): void {
    const box = this.renderRoot.querySelector(".plot");
    if (!(box instanceof HTMLElement)) return;
    const shape = this.chart.curves.map(({ name, low }) => `${name}${low === undefined}`).join();
    const data = dataOf(this.chart);
    if (!anew && this.#plot !== undefined && shape === this.#shape) {
      this.#plot.setData(data);
      return;
    }
    this.#plot?.destroy();
    this.#shape = shape;
    this.#plot = new uPlot(optionsOf(this.chart, Math.max(200, box.clientWidth)), data, box);
  }

  #fit(): void {
    const box = this.renderRoot.querySelector(".plot");
    if (box !== null && box.clientWidth > 0) this.#plot?.setSize({ width: box.clientWidth, height });
  }
}

customElements.define("lfp-chart", ChartView);

/** Columns as uPlot takes them: x, then each curve followed by its band's two edges. */
function dataOf({ xs, curves }: Chart): uPlot.AlignedData {
  const columns = curves.flatMap(({ values, low, high }) =>
    low === undefined || high === undefined ? [[...values]] : [[...values], [...high], [...low]],
  );
  return [[...xs], ...columns];
}

const colourVariables = [
  "--vscode-charts-blue",
  "--vscode-charts-orange",
  "--vscode-charts-green",
  "--vscode-charts-purple",
] as const;
/** Dash patterns, so that lines differ in more than colour. */
const dashes = [[], [7, 3], [2, 3], [10, 3, 2, 3]] as const;

function optionsOf({ curves }: Chart, width: number): uPlot.Options {
  const text = themeColour("--vscode-descriptionForeground");
  const grid = isHighContrast()
    ? transparent(themeColour("--vscode-contrastBorder"), 0.35)
    : "rgba(128, 128, 128, 0.15)";
  const axis = {
    stroke: text,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1, size: 4 },
    font: "11px sans-serif",
  };
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const [at, { name, low }] of curves.entries()) {
    const stroke = themeColour(colourVariables[at % colourVariables.length] ?? "--vscode-charts-blue");
    series.push({
      label: name,
      stroke,
      width: isHighContrast() ? 2 : 1.5,
      dash: [...(dashes[at % dashes.length] ?? [])],
      points: { show: false },
    });
    if (low === undefined) continue;
    const edge = { stroke: "transparent", points: { show: false } };
    bands.push({
      series: [series.length, series.length + 1],
      fill: transparent(stroke, isHighContrast() ? 0.3 : 0.15),
    });
    series.push(edge, edge);
  }
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: true, y: false } },
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 26 },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => short(tick)) },
    ],
    series,
    bands,
  };
}

/** The colour with opacity `alpha`; not every host's canvas supports `color-mix` of a theme's colour. */
function transparent(colour: string, alpha: number): string {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(colour);
  if (hex === null) return `color-mix(in srgb, ${colour} ${100 * alpha}%, transparent)`;
  const [red, green, blue] = hex.slice(1).map((digits) => Number.parseInt(digits, 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

function sheet() {
  return css`
    h2 { font-size: 13px; margin: 0; }
    .plot { height: ${height}px; overflow: hidden; }
    p { margin: 2px 0; }
    .key { display: flex; flex-wrap: wrap; gap: 2px 14px; min-height: 19px; }
    .entry b { color: var(--vscode-foreground); font-weight: 600; font-variant-numeric: tabular-nums; }
    .swatch { display: inline-block; width: 12px; height: 0; border-top: 2px solid; vertical-align: middle; margin-right: 3px; }
    .s0 { border-color: var(--vscode-charts-blue); }
    .s1 { border-color: var(--vscode-charts-orange); border-top-style: dashed; }
    .s2 { border-color: var(--vscode-charts-green); border-top-style: dotted; }
    .s3 { border-color: var(--vscode-charts-purple); border-top-style: dashed; }
    .band::before { content: "· "; }
    .rows { max-height: 220px; overflow: auto; margin-top: 4px; }
    .rows th { position: sticky; top: 0; background: var(--vscode-editor-background); }
  `;
}
