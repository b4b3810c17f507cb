/** The table's columns: content, width and sort order of each. */
import { html, nothing, svg, type TemplateResult } from "lit";
import type { z } from "zod";
import type { FeatureColumn } from "../../server/protocol/feature-pages.ts";
import type { FeatureMatch, FeatureRow, FeatureSort } from "../../server/protocol/features.ts";
import { percent, plain, signed, withInterval } from "../common/format.ts";

export type Sort = z.infer<typeof FeatureSort>;

export interface Column {
  readonly title: string;
  /** Width of the column, as a track of the row's CSS grid. */
  readonly width: string;
  readonly isNumber: boolean;
  readonly sort: Sort | undefined;
  readonly cell: (row: FeatureRow) => TemplateResult | string | typeof nothing;
}

const number = (title: string, width: string, sort: Sort, of: (row: FeatureRow) => string | undefined): Column => ({
  title,
  width,
  isNumber: true,
  sort,
  cell: (row) => of(row) ?? "–",
});
const text = (title: string, width: string, cell: Column["cell"], sort?: Sort): Column => ({
  title,
  width,
  isNumber: false,
  sort,
  cell,
});

export const columns: Readonly<Record<FeatureColumn, Column>> = {
  pinned: text("Pin", "32px", () => nothing),
  id: text("Feature", "92px", ({ id }) => html`<span class="id">${id}</span>`, "id"),
  explanation: text("Explanation", "minmax(200px, 1fr)", explanationCell),
  score: text("Score", "94px", scoreCell, "score"),
  relevant: text("Relevant", "80px", relevantCell),
  probeWeight: number("Weight", "82px", "probeWeight", ({ probeWeight }) => signedOrNone(probeWeight)),
  contribution: number("Contribution", "116px", "contribution", ({ contribution }) => signedOrNone(contribution)),
  attribution: number("Attribution", "108px", "attribution", ({ attribution }) => signedOrNone(attribution)),
  density: number("Density", "86px", "density", ({ density }) => percent(density)),
  maxActivation: number("Max", "64px", "maxActivation", ({ maxActivation }) => plain(maxActivation)),
  histogram: text("Activations", "106px", histogramCell),
  twin: number("Twin", "66px", "twin", ({ twin }) => (twin === null ? undefined : plain(twin.cosine))),
  ablation: number("Ablation Δ", "112px", "ablation", ({ ablation }) =>
    ablation === null ? undefined : withInterval(ablation.change, ablation.low, ablation.high, signed),
  ),
  labels: text(
    "Labels",
    "130px",
    ({ labels }) => html`${labels.map((label) => html`<span class="chip">${label}</span> `)}`,
  ),
};

export const columnNames = Object.keys(columns).filter((name): name is FeatureColumn => name in columns);

export const usualColumns: readonly FeatureColumn[] = columnNames.filter(
  (name) => name !== "maxActivation" && name !== "labels" && name !== "attribution",
);

function signedOrNone(value: number | null): string | undefined {
  return value === null ? undefined : signed(value);
}

/** Where a search found a feature, in words. */
const matchWords: { readonly [K in FeatureMatch]: string } = {
  id: "its id",
  explanation: "its explanation",
  labels: "its labels",
  note: "its note",
  examples: "its examples",
};

function explanationCell({ explanation, hasNote, matches }: FeatureRow): TemplateResult {
  const mark = hasNote ? html` <span class="dim" title="has a note">✎</span>` : nothing;
  const [first] = matches;
  // A match in the explanation can be seen; where else it is has to be said.
  const where =
    first === undefined || first === "explanation" || first === "id"
      ? nothing
      : html` <span class="dim">· found in ${matchWords[first]}</span>`;
  const note = html`${mark}${where}`;
  if (explanation === null) return html`<span class="dim">not explained</span>${note}`;
  const isOffline = explanation.explainer === "offline";
  return html`<span class=${isOffline ? "dim" : ""} title=${explanation.text}>${explanation.text}${isOffline ? html` <i>(offline)</i>` : nothing}</span>${note}`;
}

function scoreCell({ explanation }: FeatureRow): string {
  const score = explanation?.score ?? null;
  return score === null ? "–" : withInterval(score.value, score.low, score.high);
}

function relevantCell({ explanation }: FeatureRow): TemplateResult | string {
  const relevance = explanation?.relevance ?? null;
  if (relevance === null) return "–";
  if (!relevance.relevant) return html`<span class="dim">no</span>`;
  return html`<span class="chip ${relevance.polarity}">${relevance.polarity === "none" ? "yes" : relevance.polarity}</span>`;
}

/**
 * Counts by strength as a sparkline. Heights follow the square root, so that the rare strong ones are visible beside
 * the many weak ones.
 */
function histogramCell({ histogram, contribution }: FeatureRow): TemplateResult | typeof nothing {
  const most = Math.max(...histogram, 1);
  if (histogram.length < 2) return nothing;
  const points = histogram.map(
    (value, at) =>
      `${((90 * at) / (histogram.length - 1)).toFixed(1)},${(17 - 15 * Math.sqrt(value / most)).toFixed(1)}`,
  );
  const colour = contribution === null || contribution === 0 ? "none" : contribution > 0 ? "positive" : "negative";
  return html`<svg class="spark ${colour}" width="90" height="18" aria-hidden="true">${svg`<polyline points=${points.join(" ")}></polyline>`}</svg>`;
}
