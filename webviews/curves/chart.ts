import { css, html, LitElement, nothing, type PropertyValues, svg, unsafeCSS } from "lit";
import uPlot from "uplot";
import uPlotSheet from "uplot/dist/uPlot.min.css";
import { short } from "../../drawing/format.ts";
import { maxMessageLength } from "../../server/protocol/pages.ts";
import { shared } from "../common/styles.ts";
import { isHighContrast, onThemeChange, themeColour } from "../common/theme.ts";
import { CURVE_COLOURS, csvOf, dashesAt, type PlacedCurve, svgOf } from "./export.ts";
import { type Chart, type Curve, describe } from "./series.ts";

const height = 170;
/** Number of rows in the table, the newest; the log has all. */
const tableRows = 200;

/** Maximum length of a file of a chart: the host drops longer messages. */
export const MOST_SAVED = maxMessageLength / 2;

/** A file of a chart, for the host to save. */
export type SaveRequest = { readonly format: "svg" | "csv"; readonly figure: string; readonly text: string };

/**
 * One chart: title, the newest values or those under the cursor, curves that can be hidden, a description in words, a
 * table on request, and files. Fires `toggle-table` and `toggle-curve` (with the curve's name), and `save-chart`.
 */
export class ChartView extends LitElement {
  static override properties = {
    chart: { attribute: false },
    asTable: { attribute: false },
    isRunning: { attribute: false },
    hiddenCurves: { attribute: false },
    cursor: { state: true },
    isByKey: { state: true },
  };
  static override styles = [unsafeCSS(uPlotSheet), shared, sheet()];

  declare chart: Chart;
  declare asTable: boolean;
  /** Whether the log still grows. */
  declare isRunning: boolean;
  /** Names of the curves that are hidden. */
  declare hiddenCurves: readonly string[];
  /** Index of the step under the cursor; undefined: none. */
  declare cursor: number | undefined;
  /** Whether the cursor was moved by keys, which screen readers then hear. */
  declare isByKey: boolean;
  #plot: uPlot | undefined;
  #shape = "";
  #end = new AbortController();
  readonly #size = new ResizeObserver(() => this.#fit());

  constructor() {
    super();
    this.asTable = false;
    this.isRunning = false;
    this.hiddenCurves = [];
    this.isByKey = false;
  }

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
      <div class="key small dim" aria-live=${this.isByKey ? "polite" : "off"}>
        <span>${this.#place()}</span>${this.chart.curves.map((curve, at) => this.#key(curve, at))}</div>
      <div class="plot" role="img" tabindex="0" aria-label=${`${this.chart.title}. ${summary} Left and right keys read values.`}
        @keydown=${this.#onKey} @blur=${() => this.#moveTo(undefined)}></div>
      <p class="small dim">${summary}</p>
      <div class="small">
        <button class="link" aria-expanded=${this.asTable} @click=${this.#toggle}>${this.asTable ? "Hide the data" : "Show data as table"}</button>
        · <button class="link" @click=${() => this.#save("svg")}>Save as SVG</button>
        · <button class="link" @click=${() => this.#save("csv")}>Save as CSV</button>
      </div>
      ${this.asTable ? this.#table() : nothing}
    `;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has("chart")) this.#draw(false);
    if (changed.has("chart") || changed.has("hiddenCurves")) this.#showCurves();
  }

  /** The step that the values above the plot are of. */
  #place(): string {
    const { x, xs } = this.chart;
    const at = this.cursor === undefined ? undefined : xs[this.cursor];
    if (at !== undefined) return `${x} ${short(at)}`;
    return this.isRunning ? "now" : "last";
  }

  #key(curve: Curve, at: number) {
    const value =
      this.cursor === undefined ? curve.values.findLast((one) => one !== null) : (curve.values[this.cursor] ?? null);
    const swatch = svg`<line x1="0" x2="26" y1="4" y2="4" class="s${at % CURVE_COLOURS}" stroke-dasharray=${dashesAt(at).join(" ")}></line>`;
    const isHidden = this.hiddenCurves.includes(curve.name);
    const sign = html`<svg class="swatch" width="26" height="8" aria-hidden="true">${swatch}</svg>`;
    const name =
      this.chart.curves.length > 1
        ? html`<button class="curve" aria-pressed=${!isHidden} title=${isHidden ? "Show this curve" : "Hide this curve"} @click=${() => this.#fire("toggle-curve", curve.name)}>${sign} ${curve.name}</button>`
        : sign;
    return html`<span class="entry">${name} <b>${value == null ? "–" : short(value)}</b>
      ${curve.bandName === undefined ? nothing : html`<span class="band">band: ${curve.bandName}</span>`}</span>`;
  }

  /** The curves that are shown, with their places. */
  #shown(): PlacedCurve[] {
    return this.chart.curves
      .map((curve, at) => ({ curve, at }))
      .filter(({ curve }) => !this.hiddenCurves.includes(curve.name));
  }

  #save(format: "svg" | "csv"): void {
    const { chart } = this;
    const shown = this.#shown();
    const colours = {
      ground: themeColour("--vscode-editor-background"),
      text: themeColour("--vscode-foreground"),
      grid: themeColour("--lfp-line"),
      curves: colourVariables.map(themeColour),
    };
    const text =
      format === "csv" ? csvOf({ ...chart, curves: shown.map(({ curve }) => curve) }) : svgOf(chart, shown, colours);
    this.#fire<SaveRequest>("save-chart", { format, figure: `curves-${chart.id}`, text });
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.chart.xs.length - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: (this.cursor ?? last + 1) - 1,
      ArrowRight: (this.cursor ?? -1) + 1,
      Home: 0,
      End: last,
    };
    const next = moves[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    this.isByKey = true;
    this.#moveTo(Math.max(0, Math.min(last, next)));
  }

  /** Moves the cross-hair; undefined takes it away. */
  #moveTo(index: number | undefined): void {
    const plot = this.#plot;
    if (plot === undefined) return;
    const x = index === undefined ? undefined : this.chart.xs[index];
    const left = x === undefined ? -10 : plot.valToPos(x, "x");
    plot.setCursor({ left, top: x === undefined ? -10 : 0 }, false);
    this.cursor = index;
    if (index === undefined) this.isByKey = false;
  }

  #fire<T>(name: string, detail: T): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  #toggle(): void {
    this.#fire("toggle-table", this.chart.id);
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
    const onCursor = (index: number | null | undefined): void => {
      this.cursor = index ?? undefined;
    };
    this.#plot = new uPlot(optionsOf(this.chart, Math.max(200, box.clientWidth), onCursor), data, box);
    this.#showCurves();
  }

  /** Shows or hides each curve with the edges of its band. */
  #showCurves(): void {
    let series = 1;
    for (const { name, low } of this.chart.curves) {
      const count = low === undefined ? 1 : 3;
      const show = !this.hiddenCurves.includes(name);
      for (let at = series; at < series + count; at += 1)
        if (this.#plot?.series[at]?.show !== show) this.#plot?.setSeries(at, { show });
      series += count;
    }
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
  "--lfp-orange",
  "--vscode-charts-green",
  "--vscode-charts-purple",
] as const;
function optionsOf(
  { curves, spansGaps = false }: Chart,
  width: number,
  onCursor: (index: number | null | undefined) => void,
): uPlot.Options {
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
      dash: [...dashesAt(at)],
      spanGaps: spansGaps,
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
    hooks: { setCursor: [({ cursor: { idx } }) => onCursor(idx)] },
    scales: { x: { time: false } },
    axes: [
      // Steps are whole.
      { ...axis, size: 26, incrs: wholeSteps },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => short(tick)) },
    ],
    series,
    bands,
  };
}

const wholeSteps = [1, 2, 5]
  .flatMap((factor) => [1, 10, 100, 1000, 1e4, 1e5, 1e6].map((power) => factor * power))
  .sort((a, b) => a - b);

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
    .swatch { vertical-align: middle; }
    .swatch line { stroke-width: 2; }
    .s0 { stroke: var(--vscode-charts-blue); }
    .s1 { stroke: var(--lfp-orange); }
    .s2 { stroke: var(--vscode-charts-green); }
    .s3 { stroke: var(--vscode-charts-purple); }
    .curve { appearance: none; background: none; border: 0; padding: 0; margin: 0; font: inherit; color: inherit; cursor: pointer; }
    .curve[aria-pressed="false"] { text-decoration: line-through; }
    .curve:focus-visible { outline: 1px solid var(--vscode-focusBorder); }
    .band::before { content: "· "; }
    .rows { max-height: 220px; overflow: auto; margin-top: 4px; }
    .rows th { position: sticky; top: 0; background: var(--vscode-editor-background); }
  `;
}
