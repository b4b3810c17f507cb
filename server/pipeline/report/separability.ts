import { polarRows, type TripleFeatures, takeRows } from "../../probe/features.ts";
import { principalComponents, project } from "../../statistics/pca.ts";
import type { Figure, Section, Source } from "./document.ts";

/** Maximum number of triples in the figure, evenly spaced over all. */
const mostTriples = 400;

/** How a figure names what its points are. */
export interface SeparabilityWords {
  readonly title: string;
  readonly positive: string;
  readonly negative: string;
  readonly many: string;
  readonly note: string;
}

const ofTriples: SeparabilityWords = {
  title: "Separability: features at target words by their principal components",
  positive: "positive words",
  negative: "negative words",
  many: "triples",
  note: "The components know nothing of the words' signs.",
};

/** For the features of answers, the inputs of the paper's logistic regression. */
export const ofAnswers: SeparabilityWords = {
  title: "Separability: mean features of answers by their principal components (Figure 5)",
  positive: "liked answers",
  negative: "disliked answers",
  many: "pairs",
  note: "The components know nothing of which answer is liked; what varies most need not be what tells them apart.",
};

/**
 * A figure like the paper's Figure 5: features of the positive and of the negative side of contrasts, along the two
 * directions of largest variance. Undefined for fewer than two contrasts or features.
 */
export function separabilityFigure(
  features: TripleFeatures,
  source: Source,
  words: SeparabilityWords = ofTriples,
): Figure | undefined {
  const { triples, rows } = features;
  if (triples < 2 || rows.columns < 2) return undefined;
  const shown = Math.min(triples, mostTriples);
  const chosen = Array.from({ length: shown }, (_, at) => Math.floor((at * triples) / shown));
  const polar = takeRows(polarRows(features), Int32Array.from([...chosen, ...chosen.map((at) => triples + at)]));
  const components = principalComponents(polar, 2);
  const scores = project(components, polar);
  const points = (first: number) =>
    chosen.map((_, at) => ({ x: scores[2 * (first + at)] ?? 0, y: scores[2 * (first + at) + 1] ?? 0, label: null }));
  const axis = (at: number): string => {
    const share = components.shares[at] ?? Number.NaN;
    return Number.isNaN(share)
      ? `component ${at + 1}`
      : `component ${at + 1} (${(100 * share).toFixed(1)} % of the variance)`;
  };
  return {
    kind: "points",
    id: "figure-separability",
    title: words.title,
    source,
    x: axis(0),
    y: axis(1),
    diagonal: false,
    groups: [
      { name: words.positive, points: points(0) },
      { name: words.negative, points: points(shown) },
    ],
    notes: [`${shown} of ${triples} ${words.many}. ${words.note}`],
  };
}

/** The section with one figure more, if there is one. */
export function withFigure(section: Section, figure: Figure | undefined): Section {
  return figure === undefined ? section : { ...section, figures: [...section.figures, figure] };
}
