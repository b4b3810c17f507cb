/** Features for pages to show: as many as asked for, alike from run to run, sorted and filtered as a store would. */
import type { FeatureDetail, FeatureQuery, FeatureRow } from "../../server/protocol/features.ts";

const meanings = [
  "praise after a copula (“is”, “was”)",
  "criticism or negative sentiment",
  "start of an opinion",
  "word pieces: “ing”, “ed”, “ly”",
  "negation before an adjective",
  "names of actors and directors",
  "superlatives: best, worst, most",
  "end of a sentence after praise",
];

export function fakeRows(count: number): FeatureRow[] {
  return Array.from({ length: count }, (_, at) => fakeRow(at));
}

function fakeRow(at: number): FeatureRow {
  const layer = at % 6;
  const feature = Math.floor(at / 6);
  const wave = Math.sin(at * 12.9898);
  const id = `L${layer}/F${feature}`;
  const isOffline = at % 3 === 2;
  return {
    id,
    layer,
    feature,
    explanation:
      at % 7 === 6
        ? null
        : {
            text: meanings[at % meanings.length] ?? "",
            explainer: isOffline ? "offline" : "gpt-4.1",
            score: {
              method: "detection",
              value: 0.75 + 0.15 * wave,
              low: 0.7 + 0.15 * wave,
              high: 0.81 + 0.15 * wave,
              windows: 40,
            },
            relevance: { relevant: at % 4 !== 3, polarity: at % 4 === 3 ? "none" : wave > 0 ? "positive" : "negative" },
          },
    density: 0.001 + 0.05 * Math.abs(Math.cos(at)),
    maxActivation: 3 + 2 * wave,
    probeWeight: 2 * wave,
    contribution: wave * Math.abs(Math.sin(at)),
    attribution: at % 3 === 0 ? null : 0.01 * wave,
    twin: { id: `${id}@big`, cosine: 0.9 + 0.09 * wave },
    ablation: at % 5 === 0 ? { change: -0.2 * wave, low: -0.2 * wave - 0.04, high: -0.2 * wave + 0.04 } : null,
    histogram: Array.from({ length: 12 }, (_, bin) =>
      Math.round(12_000 * Math.exp(-bin * (0.5 + 0.3 * Math.abs(wave)))),
    ),
    labels: at % 50 === 0 ? ["keep"] : [],
    pinned: at === 3,
    hasNote: at % 40 === 0,
    matches: [],
  };
}

/** As a store would answer. */
export function queryRows(
  rows: readonly FeatureRow[],
  query: FeatureQuery,
  offset: number,
  count: number,
): { total: number; rows: FeatureRow[] } {
  const fitting = rows.filter(
    (row) =>
      (row.explanation?.text ?? "").includes(query.search) &&
      (query.layers.length === 0 || query.layers.includes(row.layer)) &&
      (query.relevant === null || row.explanation?.relevance?.relevant === query.relevant) &&
      (!query.pinned || row.pinned) &&
      (query.label === null || row.labels.includes(query.label)),
  );
  const by = keys[query.sort];
  const sorted = fitting.sort((a, b) => (query.descending ? by(b) - by(a) : by(a) - by(b)));
  const page = sorted.slice(offset, offset + count);
  const matches: FeatureRow["matches"] = query.search === "" ? [] : ["examples"];
  return { total: sorted.length, rows: page.map((row) => ({ ...row, matches })) };
}

const keys: Readonly<Record<FeatureQuery["sort"], (row: FeatureRow) => number>> = {
  match: ({ contribution }) => Math.abs(contribution ?? 0),
  id: ({ layer, feature }) => layer * 1e6 + feature,
  density: ({ density }) => density,
  maxActivation: ({ maxActivation }) => maxActivation,
  probeWeight: ({ probeWeight }) => Math.abs(probeWeight ?? 0),
  contribution: ({ contribution }) => Math.abs(contribution ?? 0),
  attribution: ({ attribution }) => attribution ?? 0,
  twin: ({ twin }) => twin?.cosine ?? 0,
  score: ({ explanation }) => explanation?.score?.value ?? 0,
  ablation: ({ ablation }) => Math.abs(ablation?.change ?? 0),
};

const example = (text: string, strong: Readonly<Record<string, number>>) => {
  const tokens = text.split(/(?= )/);
  const activations = tokens.map((token) => strong[token.trim()] ?? 0);
  return { tokens, activations, peak: activations.indexOf(Math.max(...activations)), source: "analysis text 12" };
};

export function fakeDetail(row: FeatureRow): FeatureDetail {
  return {
    row,
    explanations: row.explanation === null ? [] : [row.explanation],
    examples: [
      {
        group: "top",
        examples: [
          example("the whole cast is wonderful and the music was superb", {
            is: 0.6,
            wonderful: 4.8,
            was: 0.5,
            superb: 4.1,
          }),
          example("I thought it was brilliant, really <b>so</b> brilliant", {
            was: 0.9,
            "brilliant,": 4.4,
            brilliant: 3.9,
          }),
        ],
      },
      { group: "q4", examples: [example("a great film with a great heart", { great: 3.4 })] },
      { group: "q2", examples: [example("the story is fine for what it is", { is: 0.4, fine: 1.6 })] },
      { group: "silent", examples: [example("It is a wonderful life (title) that plays on television", {})] },
    ],
    activeTokens: 12_408,
    tokens: 590_857,
    promotes: ["wonderful", " great", " beautiful", " and", "!"].map((token, at) => ({ token, logit: 1.2 - at / 10 })),
    suppresses: [" worst", " not", " boring", " nothing"].map((token, at) => ({ token, logit: -1.1 + at / 10 })),
    baseTwin: { id: "base:L4/F43", cosine: 0.71 },
    ablations: [
      { what: "this", factor: 0, prompts: 256, change: -0.19, low: -0.23, high: -0.15 },
      { what: "random", factor: 0, prompts: 256, change: 0.01, low: -0.04, high: 0.06 },
      { what: "reconstruction", factor: 0, prompts: 256, change: 0.02, low: -0.03, high: 0.05 },
    ],
    note: "",
    annotatedEarlier: false,
  };
}
