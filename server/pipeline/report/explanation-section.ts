import type { Autoencoders } from "../artifacts/autoencoders.ts";
import type { Explanations } from "../artifacts/explanations.ts";
import { type Section, type Source, showCell, type Table } from "./document.ts";
import { table1 } from "./paper.ts";
import {
  type Explained,
  isMoreRelevant,
  isRelevant,
  relevanceInWords,
  relevanceTable,
  relevantInWords,
  similarTable,
} from "./relevance-tables.ts";

export interface ExplanationOptions {
  /** What stands for rated words. */
  readonly rated?: string;
  /** Whether the explanations themselves are shown, which quote words of the data. */
  readonly showsTexts?: boolean;
}

/** What the features mean according to explanations without a language model, and how well those predict. */
export function explanationSection(
  found: Explanations,
  similarities: Autoencoders["similarities"],
  source: Source,
  { rated = "words that the feedback rates", showsTexts = true }: ExplanationOptions = {},
): Section {
  return {
    title: "What the features mean",
    text: [
      `Explained: the ${found.features.length} features that the two dictionary sizes agree on most, without a language model (${found.explainer}): peak tokens, promoted tokens, and how much of a ` +
        `feature's strength is on ${rated}. Each explanation is scored on windows of other texts; 0.5 is chance.`,
      ...relevanceInWords(found),
    ],
    tables: [
      scoreTable(found, source),
      ...(showsTexts ? [explanationTable(found, source)] : []),
      similarTable(found, similarities, source),
      relevanceTable(found, source),
    ],
    figures: [],
  };
}

/** One line for the top of the report. */
export function explanationsFinding({ features, base, explainer }: Explanations): string {
  const { mean } = meansOf(features, "detection");
  const beside = `${relevantInWords(base)}${isMoreRelevant(features, base) ? "" : ", not shown to be fewer"}`;
  return `Of the features explained (${explainer}), ${relevantInWords(features)} have to do with the task, and of the base model's ${beside}; explanations tell where a feature is active with a balanced accuracy of ${showCell(mean)}.`;
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
    title: "Explanations (Table 1)",
    source,
    columns: ["feature", "explanation", "relevant", "detection", "95 % low", "95 % high"],
    rows: [
      ...rows.map((feature) => {
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
      ...table1.map((name) => [name, null, null, null, null, null]),
    ],
    notes: [
      `Relevant ones first, then by score, ${shownExplanations} at most; \`lfp features\` lists all. The paper's rows are features of its own dictionaries, of the run of its Appendix B (see Table 8), and were described by GPT-4; they compare with no feature here.`,
    ],
  };
}

const shownExplanations = 20;

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
