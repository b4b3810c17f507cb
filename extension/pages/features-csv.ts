/** Rows of features as CSV (RFC 4180). */
import { csvCell } from "../../server/protocol/csv.ts";
import type { FeatureRow } from "../../server/protocol/features.ts";

type Value = string | number | boolean | null;

const columns: Readonly<Record<string, (row: FeatureRow) => Value>> = {
  id: ({ id }) => id,
  layer: ({ layer }) => layer,
  feature: ({ feature }) => feature,
  explanation: ({ explanation }) => explanation?.text ?? null,
  explainer: ({ explanation }) => explanation?.explainer ?? null,
  score: ({ explanation }) => explanation?.score?.value ?? null,
  score_low: ({ explanation }) => explanation?.score?.low ?? null,
  score_high: ({ explanation }) => explanation?.score?.high ?? null,
  relevant: ({ explanation }) => explanation?.relevance?.relevant ?? null,
  polarity: ({ explanation }) => explanation?.relevance?.polarity ?? null,
  density: ({ density }) => density,
  max_activation: ({ maxActivation }) => maxActivation,
  probe_weight: ({ probeWeight }) => probeWeight,
  contribution: ({ contribution }) => contribution,
  attribution: ({ attribution }) => attribution,
  twin: ({ twin }) => twin?.id ?? null,
  twin_cosine: ({ twin }) => twin?.cosine ?? null,
  ablation_change: ({ ablation }) => ablation?.change ?? null,
  ablation_low: ({ ablation }) => ablation?.low ?? null,
  ablation_high: ({ ablation }) => ablation?.high ?? null,
  labels: ({ labels }) => labels.join("; "),
  pinned: ({ pinned }) => pinned,
  note: ({ hasNote }) => hasNote,
};

export function featuresAsCsv(rows: readonly FeatureRow[]): string {
  const lines = rows.map((row) => Object.values(columns).map((of) => csvCell(of(row))));
  return [Object.keys(columns), ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}
