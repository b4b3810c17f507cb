import { byCodeUnit } from "../../common/order.ts";
import type { RegressionReport, WordScores } from "../../probe/report-types.ts";
import { type Cell, extremes, type Section, type Source, showCell, type Table } from "./document.ts";
import { comparedInWords } from "./probe-finding.ts";
import { controlTables } from "./probe-section.ts";

/** The features behind the learned reward: the probe fitted to log-ratios instead of deltas. Shows `words` words. */
export function fittedSection(report: RegressionReport, source: Source, words: number): Section {
  return {
    title: "The features behind the learned reward",
    text: [
      "The same ridge regression on the same features, fitted to λ = log π tuned − log π base of the target word (the sum over its pieces, in nats) instead of the deltas. No label has a part in it. " +
        "Its parts by feature are what the editor shows of a word's λ. It is tested on words that no fit saw, against their λ, and beside other inputs.",
      fittedExplained(report),
    ],
    tables: [agreementTable(report, source), ...controlTables(report, source), wordTable(report, source, words)],
    figures: [],
  };
}

/** One line for the top of the report. */
export function fittedFinding({ byWord: { probe, differences, meant } }: RegressionReport): string {
  const { tau, interval, undefinedBecause } = probe.kendall;
  if (tau === null)
    return `Features were fitted to what tuning made likelier, but say nothing of words that no fit saw: ${undefinedBecause ?? "tau-b is not defined"}.`;
  const compared =
    differences?.baseModel == null
      ? ""
      : `; ${comparedInWords(differences.baseModel, "the same on the base model's features")}`;
  return (
    `Fitted to what tuning made likelier, the features order words that no fit saw by their log-ratio with Kendall's tau-b ${showCell(tau)} ` +
    `(95 % interval ${showCell(interval.low)} to ${showCell(interval.high)})${compared}.` +
    (meant === null
      ? ""
      : ` With the ratings the fitted values agree with tau-b ${showCell(meant.probe.kendall.tau)}, the log-ratios themselves with ${showCell(meant.target.kendall.tau)}.`)
  );
}

function fittedExplained({
  byWord: { differences, baseModel, rawActivations, staticEmbedding },
}: RegressionReport): string {
  const found = [
    differences?.baseModel == null || baseModel === null
      ? []
      : [comparedInWords(differences.baseModel, `the same on the base model's features`)],
    differences?.staticEmbedding == null || staticEmbedding === null
      ? []
      : [comparedInWords(differences.staticEmbedding, "the same on the base model's token embeddings")],
    differences?.rawActivations == null || rawActivations === null
      ? []
      : [comparedInWords(differences.rawActivations, "the same on raw activations")],
  ].flat();
  const isAbove = (differences?.baseModel?.interval.low ?? Number.NEGATIVE_INFINITY) > 0;
  const conclusion =
    differences?.baseModel == null
      ? ""
      : isAbove
        ? " The tuned model's features say more of λ than those of the base model: tuning left something in them that carries over to new words."
        : " The base model's features say as much of λ within the interval: which words tuning would move can be told from what the model knew before, and that the tuned model's features hold more of it is not shown.";
  return `Tau-b by word on features, ${found.join("; ")}.${conclusion}`;
}

function agreementTable({ byTriple, byWord }: RegressionReport, source: Source): Table {
  const row = (what: string, scores: WordScores | null): Cell[][] => {
    if (scores === null) return [];
    const { kendall, agreement } = scores;
    return [
      [
        what,
        kendall.tau,
        kendall.interval.low,
        kendall.interval.high,
        agreement?.pearson ?? null,
        agreement?.pearsonInterval.low ?? null,
        agreement?.pearsonInterval.high ?? null,
        agreement?.r2 ?? null,
        agreement?.r2Interval.low ?? null,
        agreement?.r2Interval.high ?? null,
        scores.words,
      ],
    ];
  };
  const rows = [
    ...row("by word: features", byWord.probe),
    ...row("by word: raw activations", byWord.rawActivations),
    ...row("by word: the base model's features", byWord.baseModel),
    ...row("by word: the base model's token embeddings", byWord.staticEmbedding),
    ...row("by triple: features (words that the fit knows)", byTriple.probe),
    ...row("by triple: the base model's features", byTriple.baseModel),
    ...row("against the rating, by word: features", byWord.meant?.probe ?? null),
    ...row("against the rating: λ itself", byWord.meant?.target ?? null),
  ];
  return {
    id: "fitted",
    title: "Fitted log-ratio of words against their log-ratio",
    source,
    columns: ["", "tau-b", "95 % low", "95 % high", "Pearson's r", "low", "high", "R²", "low", "high", "words"],
    rows,
    notes: [
      "A word's value is the mean over its places. Intervals by bootstrap over words. R² is 1 less squared errors over squares about the mean: below 0 is worse than the mean. " +
        "Against ratings R² compares nats with ratings and means little.",
    ],
  };
}

function wordTable({ byWord: { lexicon } }: RegressionReport, source: Source, words: number): Table {
  const ranked = lexicon.toSorted((a, b) => b.true - a.true || byCodeUnit(a.word, b.word));
  const shown = extremes(ranked, words);
  return {
    id: "fitted-words",
    title: "Words that tuning made likelier and unlikelier at their targets, with what features say of them unseen",
    source,
    columns: ["word", "rating", "λ", "fitted, unseen", "rest", "places"],
    rows: shown.map(({ word, rating, true: truth, predicted, occurrences }) => [
      word,
      rating,
      truth,
      predicted,
      truth - predicted,
      occurrences,
    ]),
    notes: [
      `${shown.length} of ${lexicon.length} words, the extremes by λ, in nats; all of them are in fitted/probe.json.`,
    ],
  };
}
