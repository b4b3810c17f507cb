/** The measured effects of an ablation beside its controls, as SVG and in words. */
import { css, html, svg, type TemplateResult } from "lit";
import { short, signed } from "../../drawing/format.ts";
import { scaleOf } from "../../drawing/scale.ts";
import { effectInWords, type MeasuredEffect } from "../../server/protocol/features.ts";

const width = 360;

/** What was ablated. */
export type Ablated = "feature" | "set";

const subjects: {
  readonly [K in Ablated]: {
    readonly name: string;
    readonly intro: string;
    readonly isOwn: (effect: MeasuredEffect) => boolean;
  };
} = {
  feature: {
    name: "this feature",
    intro: "Without the feature",
    isOwn: ({ what, factor }) => what === "this" && factor === 0,
  },
  set: { name: "this set", intro: "With the set", isOwn: ({ what }) => what === "this" },
};

const names: Readonly<Record<Exclude<MeasuredEffect["what"], "this">, string>> = {
  random: "random sets",
  reconstruction: "reconstruction only",
  mean: "set to its mean",
};

/** Order of the bars: what was ablated first, then its controls. */
const order: readonly MeasuredEffect["what"][] = ["this", "mean", "random", "reconstruction"];

/** Change of the task's mean reward, or of the margin of its pairs, with its interval, beside the controls, on one axis. */
export function ablationFigure(measured: readonly MeasuredEffect[], of: Ablated = "feature"): TemplateResult {
  const ablations = measured.toSorted((a, b) => order.indexOf(a.what) - order.indexOf(b.what) || a.factor - b.factor);
  const [row, left, foot] = [22, 150, 20];
  const height = row * ablations.length + 6;
  const x = scaleOf(
    ablations.flatMap(({ low, high }) => [low, high]),
    { start: left, end: width - 6, withZero: true, ticks: 3 },
  );
  return html`<svg viewBox="0 0 ${width} ${height + foot}" role="img" aria-label=${ablations.map((one) => inWords(one, of)).join(" ")}>
    ${svg`<line class="zero" x1=${x.at(0)} x2=${x.at(0)} y1="0" y2=${height}></line>`}
    ${x.ticks.map((tick) => svg`<text class="tick" x=${x.at(tick)} y=${height + 14} text-anchor="middle">${short(tick)}</text>`)}
    ${ablations.map((one, at) => {
      const y = row * at + 13;
      const colour = one.what === "this" ? (one.change < 0 ? "negative" : "positive") : "control";
      return svg`<g><title>${inWords(one, of)}</title><text x="0" y=${y + 4}>${nameOf(one, of)}</text>
        <line class="bar ${colour}" x1=${x.at(one.low)} x2=${x.at(one.high)} y1=${y} y2=${y}></line>
        <circle class="dot ${colour}" cx=${x.at(one.change)} cy=${y} r="3"></circle></g>`;
    })}
  </svg>`;
}

/** What an ablation shows, in a sentence or two: the change, and whether random sets of features change as much. */
export function ablationVerdict(ablations: readonly MeasuredEffect[], of: Ablated = "feature"): string {
  const { isOwn, intro } = subjects[of];
  const own = ablations.find(isOwn);
  if (own === undefined) return "";
  const random = ablations.find(({ what }) => what === "random");
  const change = `${intro} the ${effectInWords(own)} changes by ${signed(own.change)} (95 % interval ${signed(own.low)} to ${signed(own.high)}).`;
  if (own.low <= 0 && own.high >= 0) return `${change} That may be chance: the interval holds zero.`;
  if (random === undefined) return change;
  const isBeyond = own.high < random.low || own.low > random.high;
  const much = !isBeyond ? "about as much" : Math.abs(own.change) > Math.abs(random.change) ? "by less" : "by more";
  return `${change} Random sets of features, as often and as strongly active, change it ${much}: ${signed(random.low)} to ${signed(random.high)}.`;
}

function nameOf({ what, factor }: MeasuredEffect, of: Ablated): string {
  const name = what === "this" ? subjects[of].name : names[what];
  // The factors of a set's features may differ.
  return of === "set" || factor === 0 || what === "mean" ? name : `${name} × ${short(factor)}`;
}

function inWords(one: MeasuredEffect, of: Ablated): string {
  return `${nameOf(one, of)}: ${signed(one.change)}, 95 % interval ${signed(one.low)} to ${signed(one.high)}.`;
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
