import type { Explanations } from "../stages/explain.ts";
import { type Section, type Source, showCell, type Table } from "./document.ts";

type Explained = Explanations["features"][number];

/** What the features mean, as far as explanations without a language model can say, and how well those predict. */
export function explanationSection(found: Explanations, source: Source): Section {
  return {
    title: "What the features mean",
    text: [
      `Explained: the ${found.features.length} features that the two dictionary sizes agree on most, without a language model (${found.explainer}): peak tokens, promoted tokens, and how much of a ` +
        "feature's strength is on words that the feedback rates. Each explanation is scored on windows of other texts; 0.5 is chance.",
    ],
    tables: [scoreTable(found, source), explanationTable(found, source)],
    figures: [],
  };
}

/** One line for the top of the report. */
export function explanationsFinding({ features, explainer }: Explanations): string {
  const { mean } = meansOf(features, "detection");
  const relevant = features.filter(isRelevant).length;
  return `Of ${features.length} features explained (${explainer}), ${relevant} have to do with the task; explanations tell where a feature is active with a balanced accuracy of ${showCell(mean)}.`;
}

function scoreTable({ features }: Explanations, source: Source): Table {
  const row = (method: "detection" | "fuzzing") => {
    const { mean, control, count, above } = meansOf(features, method);
    return [method, count, mean, control, above];
  };
  return {
    id: "explanation-scores",
    title: "Scores of the explanations",
    source,
    columns: ["", "features", "balanced accuracy", "control", "above chance"],
    rows: [row("detection"), row("fuzzing")],
    notes: [
      "Means over the features. Control: the same windows judged by another feature's explanation. Above chance: features whose 95 % interval lies above 0.5.",
    ],
  };
}

function explanationTable({ features }: Explanations, source: Source): Table {
  const scoreOf = (feature: Explained) => feature.detail.scores.find(({ method }) => method === "detection");
  const rows = features
    .toSorted(
      (a, b) => Number(isRelevant(b)) - Number(isRelevant(a)) || (scoreOf(b)?.value ?? 0) - (scoreOf(a)?.value ?? 0),
    )
    .slice(0, shownExplanations);
  return {
    id: "table-1",
    title: "Explanations (compare Table 1)",
    source,
    columns: ["feature", "explanation", "relevant", "detection", "95 % low", "95 % high"],
    rows: rows.map((feature) => {
      const score = scoreOf(feature);
      const relevance = feature.detail.relevance;
      return [
        feature.id,
        feature.text,
        relevance?.relevant === true ? relevance.polarity : "",
        score?.value ?? null,
        score?.low ?? null,
        score?.high ?? null,
      ];
    }),
    notes: [
      `Relevant ones first, then by score, ${shownExplanations} at most; \`lfp features\` lists all. The paper's Table 1 is of another run (its Appendix B), explained by GPT-4.`,
    ],
  };
}

const shownExplanations = 20;

function isRelevant({ detail }: Explained): boolean {
  return detail.relevance?.relevant === true;
}

function meansOf(features: readonly Explained[], method: "detection" | "fuzzing") {
  const scores = features.flatMap(({ detail }) => detail.scores.filter((score) => score.method === method));
  const mean = (values: readonly number[]): number | null =>
    values.length === 0 ? null : values.reduce((total, value) => total + value, 0) / values.length;
  const controls = scores.flatMap(({ control }) => (control === null ? [] : [control]));
  return {
    count: scores.length,
    mean: mean(scores.map(({ value }) => value)),
    control: mean(controls),
    above: scores.filter(({ low }) => low > 0.5).length,
  };
}
