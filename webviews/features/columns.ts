/** The table's columns: content, width and sort order of each. */
import { html, nothing, svg, type TemplateResult } from "lit";
import type { z } from "zod";
import { percent, plain, signed, withInterval } from "../../drawing/format.ts";
import type { FeatureColumn } from "../../server/protocol/feature-pages.ts";
import type { FeatureMatch, FeatureRow, FeatureSort } from "../../server/protocol/features.ts";

export type Sort = z.infer<typeof FeatureSort>;

export interface Column {
  readonly title: string;
  /** One sentence on what stands in it, for its head and the menu of columns. */
  readonly about: string;
  /** Width of the column, as a track of the row's CSS grid. */
  readonly width: string;
  readonly isNumber: boolean;
  readonly sort: Sort | undefined;
  readonly cell: (row: FeatureRow) => TemplateResult | string | typeof nothing;
}

type Head = Pick<Column, "title" | "about" | "width">;

const number = (head: Head, sort: Sort, of: (row: FeatureRow) => string | undefined): Column => ({
  ...head,
  isNumber: true,
  sort,
  cell: (row) => of(row) ?? "–",
});
const text = (head: Head, cell: Column["cell"], sort?: Sort): Column => ({ ...head, isNumber: false, sort, cell });

export const columns: Readonly<Record<FeatureColumn, Column>> = {
  pinned: text({ title: "Pin", width: "32px", about: "Features that you pinned." }, () => nothing),
  id: text(
    { title: "Feature", width: "92px", about: "The layer, and the feature's number in that layer's dictionary." },
    ({ id }) => html`<span class="id">${id}</span>`,
    "id",
  ),
  explanation: text(
    { title: "Explanation", width: "minmax(200px, 1fr)", about: "What the feature is active on, and who says so." },
    explanationCell,
  ),
  score: text(
    {
      title: "Score",
      width: "94px",
      about:
        "How well the explanation predicts on other texts where the feature is active: 1 is always, 0.5 is a guess. With its 95 % interval.",
    },
    scoreCell,
    "score",
  ),
  relevant: text(
    {
      title: "Relevant",
      width: "92px",
      about:
        "Whether the explanation has to do with what the feedback rewards, and with which sign. It is judged by the explanation's words, not by the weight.",
    },
    relevantCell,
  ),
  probeWeight: number(
    { title: "Weight", width: "82px", about: "What the probe multiplies the feature's activation by." },
    "probeWeight",
    ({ probeWeight }) => signedOrNone(probeWeight),
  ),
  contribution: number(
    {
      title: "Contribution",
      width: "116px",
      about: "Weight times activation, on average where the feature is active: what it adds to the implicit reward.",
    },
    "contribution",
    ({ contribution }) => signedOrNone(contribution),
  ),
  attribution: number(
    {
      title: "Attribution",
      width: "108px",
      about: "The feature's share in what tuning raised, per completion; negative where it holds that down.",
    },
    "attribution",
    ({ attribution }) => signedOrNone(attribution),
  ),
  density: number(
    {
      title: "Active on",
      width: "108px",
      about: "The share of the run's tokens on which the feature is active; `density` in searches.",
    },
    "density",
    ({ density }) => percent(density),
  ),
  maxActivation: number(
    { title: "Max", width: "64px", about: "Its largest activation in the run's texts." },
    "maxActivation",
    ({ maxActivation }) => plain(maxActivation),
  ),
  histogram: text(
    { title: "Activations", width: "106px", about: "How many of its activations are weak (left) and strong (right)." },
    histogramCell,
  ),
  twin: number(
    {
      title: "Twin",
      width: "66px",
      about:
        "The cosine with the most similar feature of the dictionary of the other size: near 1, both sizes found the same feature.",
    },
    "twin",
    ({ twin }) => (twin === null ? undefined : plain(twin.cosine)),
  ),
  ablation: number(
    {
      title: "Ablation Δ",
      width: "124px",
      about: "How the mean reward of completions changes when the feature is removed, with its 95 % interval.",
    },
    "ablation",
    ({ ablation }) =>
      ablation === null ? undefined : withInterval(ablation.change, ablation.low, ablation.high, signed),
  ),
  labels: text(
    { title: "Labels", width: "130px", about: "The labels that you gave." },
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
