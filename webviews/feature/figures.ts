/** A feature's histogram and the effects of its ablation, as SVG. */
import { css, html, svg, type TemplateResult } from "lit";
import { effectInWords, type FeatureDetail, type FeatureRow } from "../../server/protocol/features.ts";
import { count, plain, short, signed } from "../common/format.ts";
import { scaleOf } from "../common/scale.ts";

const width = 360;

/** Counts of activations by size. Heights follow the square root, because the rare strong activations matter most. */
export function histogram(
  { histogram: bins, maxActivation }: FeatureRow,
  sign: "positive" | "negative",
): TemplateResult {
  const [height, foot] = [76, 18];
  const most = Math.max(...bins, 1);
  const each = width / Math.max(1, bins.length);
  const total = bins.reduce((sum, value) => sum + value, 0);
  const words = `${count(total)} activations up to ${plain(maxActivation)}, in ${bins.length} equal steps; the largest step holds ${count(most)}.`;
  return html`<svg viewBox="0 0 ${width} ${height + foot}" role="img" aria-label=${words}>${bins.map((value, at) => {
    const tall = (height - 4) * Math.sqrt(value / most);
    const [from, to] = [(maxActivation * at) / bins.length, (maxActivation * (at + 1)) / bins.length];
    return svg`<rect class="fill ${sign}" x=${each * at} y=${height - tall} width=${Math.max(1, each - 2)} height=${Math.max(tall, value > 0 ? 1 : 0)}>
      <title>${plain(from)} to ${plain(to)}: ${count(value)}</title></rect>`;
  })}${svg`<text class="tick" x="0" y=${height + 13}>0</text><text class="tick" x=${width} y=${height + 13} text-anchor="end">${plain(maxActivation)}</text>`}</svg>`;
}

const names: Readonly<Record<FeatureDetail["ablations"][number]["what"], string>> = {
  this: "this feature",
  random: "random sets",
  reconstruction: "reconstruction only",
  mean: "set to its mean",
};

/** Order of the bars: the feature first, then its controls. */
const order: readonly FeatureDetail["ablations"][number]["what"][] = ["this", "mean", "random", "reconstruction"];

/** Change of the task's mean reward, or of the margin of its pairs, with its interval, beside the controls, on one axis. */
export function ablationFigure(measured: FeatureDetail["ablations"]): TemplateResult {
  const ablations = measured.toSorted((a, b) => order.indexOf(a.what) - order.indexOf(b.what) || a.factor - b.factor);
  const [row, left, foot] = [22, 150, 20];
  const height = row * ablations.length + 6;
  const x = scaleOf(
    ablations.flatMap(({ low, high }) => [low, high]),
    { start: left, end: width - 6, withZero: true, ticks: 3 },
  );
  return html`<svg viewBox="0 0 ${width} ${height + foot}" role="img" aria-label=${ablations.map(inWords).join(" ")}>
    ${svg`<line class="zero" x1=${x.at(0)} x2=${x.at(0)} y1="0" y2=${height}></line>`}
    ${x.ticks.map((tick) => svg`<text class="tick" x=${x.at(tick)} y=${height + 14} text-anchor="middle">${short(tick)}</text>`)}
    ${ablations.map((one, at) => {
      const y = row * at + 13;
      const colour = one.what === "this" ? (one.change < 0 ? "negative" : "positive") : "control";
      return svg`<g><title>${inWords(one)}</title><text x="0" y=${y + 4}>${nameOf(one)}</text>
        <line class="bar ${colour}" x1=${x.at(one.low)} x2=${x.at(one.high)} y1=${y} y2=${y}></line>
        <circle class="dot ${colour}" cx=${x.at(one.change)} cy=${y} r="3"></circle></g>`;
    })}
  </svg>`;
}

/** What an ablation shows, in a sentence or two: the change, and whether random sets of features change as much. */
export function ablationVerdict(ablations: FeatureDetail["ablations"]): string {
  const own = ablations.find(({ what, factor }) => what === "this" && factor === 0);
  if (own === undefined) return "";
  const random = ablations.find(({ what }) => what === "random");
  const change = `Without the feature the ${effectInWords(own)} changes by ${signed(own.change)} (95 % interval ${signed(own.low)} to ${signed(own.high)}).`;
  if (own.low <= 0 && own.high >= 0) return `${change} That may be chance: the interval holds zero.`;
  if (random === undefined) return change;
  const isBeyond = own.high < random.low || own.low > random.high;
  const much = !isBeyond ? "about as much" : Math.abs(own.change) > Math.abs(random.change) ? "by less" : "by more";
  return `${change} Random sets of features, as often and as strongly active, change it ${much}: ${signed(random.low)} to ${signed(random.high)}.`;
}

function nameOf({ what, factor }: FeatureDetail["ablations"][number]): string {
  return factor === 0 || what === "mean" ? names[what] : `${names[what]} × ${short(factor)}`;
}

function inWords(one: FeatureDetail["ablations"][number]): string {
  return `${nameOf(one)}: ${signed(one.change)}, 95 % interval ${signed(one.low)} to ${signed(one.high)}.`;
}

export const figureSheet = css`
  svg { display: block; width: 100%; max-width: ${width}px; height: auto; overflow: visible; }
  text { fill: var(--vscode-foreground); font: 11px var(--vscode-font-family); }
  .tick { fill: var(--lfp-dim); }
  .fill { fill-opacity: 0.7; }
  .fill.positive, .dot.positive { fill: rgb(var(--pos)); }
  .fill.negative, .dot.negative { fill: rgb(var(--neg)); }
  .dot.control { fill: var(--lfp-dim); }
  .bar { stroke-width: 2; }
  .bar.positive { stroke: rgb(var(--pos)); }
  .bar.negative { stroke: rgb(var(--neg)); stroke-dasharray: 5 2; }
  .bar.control { stroke: var(--lfp-dim); }
  .zero { stroke: var(--lfp-dim); stroke-dasharray: 2 3; }
`;
