/** A feature's histogram, as SVG. */
import { html, svg, type TemplateResult } from "lit";
import { count, plain } from "../../drawing/format.ts";
import type { FeatureRow } from "../../server/protocol/features.ts";

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
