import { byCodeUnit } from "../../common/order.ts";
import type { RegressionReport, SeedScores, SplitReport, WordScores } from "../../probe/report-types.ts";
import { type Cell, type Section, type Source, showCell, showPercent, type Table } from "./document.ts";
import { frequencyFigure, predictionFigure } from "./figures.ts";
import { reconstructed, table4, table5, table10 } from "./paper.ts";
import { share } from "./probe-finding.ts";

/**
 * What the probe reads, split by triple and by word, beside its controls and the paper's numbers. Shows `words` words
 * of the lexicon.
 */
export function probeSection(report: RegressionReport, source: Source, words: number): Section {
  return {
    title: "The reward that the probe reads",
    text: [
      `${report.triples} triples, ${report.features.total} features of layers ${report.features.layers.map(({ layer }) => layer).join(", ")}, of which ${showPercent(report.features.nonZero)} are active at a target word.`,
      gapExplained(report),
      limitsExplained(report),
    ],
    tables: [
      signTable(report, source),
      kendallTable(report, source),
      ...controlTables(report, source),
      negativeTable(report, source),
      rankingTable(report, source),
      lexiconTable(report, source, words),
      frequencyTable(report, source),
    ],
    figures: [predictionFigure(report, source), frequencyFigure(report, source)],
  };
}

/** Explains the difference between the two splits. */
function gapExplained({ byTriple, byWord }: RegressionReport): string {
  const memory = byTriple.wordMemory.signAccuracy.mean;
  return (
    "Split by triple, as the paper does, the same words stand on both sides: a probe that only remembers which words are which does well there. " +
    `How far memory goes is measured by probes fitted to random signs of the words: ${showPercent(memory)} of signs right by triple, ${showPercent(byWord.wordMemory.signAccuracy.mean)} by word. ` +
    "Only the split by word, in which no word stands on both sides, tells whether features carry the reward to new words; " +
    "what falls away between the two columns is memory of words, not a reading of the reward."
  );
}

/** Explains what limits the probe on held-out words. */
function limitsExplained({ byWord, features }: RegressionReport): string {
  const { probe, rawActivations, baseModel, staticEmbedding, split } = byWord;
  const tested = split.folds.reduce((sum, { testWords }) => sum + testWords, 0) / split.folds.length;
  const taus = [
    `${showCell(probe.kendall.tau)} on features`,
    ...(rawActivations === null ? [] : [`${showCell(rawActivations.kendall.tau)} on raw activations`]),
    ...(baseModel === null ? [] : [`${showCell(baseModel.kendall.tau)} on the base model's features`]),
    ...(staticEmbedding === null
      ? []
      : [`${showCell(staticEmbedding.kendall.tau)} on its token embeddings, one vector a word without any context`]),
  ];
  const low = probe.kendall.interval.low;
  const isOld = low !== null && (baseModel?.kendall.tau ?? Number.NEGATIVE_INFINITY) >= low;
  return (
    `What limits the split by word: a probe has some ${Math.round(probe.words - tested)} words to learn ${features.total} weights from. Kendall's tau-b by word is ${taus.join(", ")}. ` +
    "Where raw activations do better, the autoencoders lose some of what carries over to new words. " +
    (isOld
      ? "The base model's features do as well within the interval: most of what is read of new words the model knew before tuning."
      : "Where the base model's features do as well, the model knew before tuning what is read.")
  );
}

function signTable({ byTriple, byWord }: RegressionReport, source: Source): Table {
  return {
    id: "table-5",
    title: "Signs of words, per cent right (Table 5)",
    source,
    columns: ["", "by triple, positive", "by triple, negative", "by word, positive", "by word, negative"],
    rows: [
      signRow("probe on features", byTriple.probe, byWord.probe),
      ["95 % interval", ...signInterval(byTriple.probe), ...signInterval(byWord.probe)],
      signRow("probe on raw activations", byTriple.rawActivations, byWord.rawActivations),
      signRow("probe on the base model's features", byTriple.baseModel, byWord.baseModel),
      signRow("probe on the base model's token embeddings", byTriple.staticEmbedding, byWord.staticEmbedding),
      seedRow("random probe, Xavier", byTriple.untrainedProbe, byWord.untrainedProbe),
      seedRow("shuffled deltas", byTriple.shuffledLabels, byWord.shuffledLabels),
      ...table5.map((cells) => [...cells, null, null]),
    ],
    notes: [
      `Words: ${byTriple.probe.positiveWords} positive and ${byTriple.probe.negativeWords} negative by triple, ${byWord.probe.positiveWords} and ${byWord.probe.negativeWords} by word. ` +
        "A prediction of 0 counts as wrong. The paper splits by triple.",
    ],
  };
}

function signRow(what: string, byTriple: WordScores | null, byWord: WordScores | null): Cell[] {
  const shares = (scores: WordScores | null): Cell[] => [
    share(scores?.signAccuracy.positive.share ?? null),
    share(scores?.signAccuracy.negative.share ?? null),
  ];
  return [what, ...shares(byTriple), ...shares(byWord)];
}

function signInterval({ signAccuracy: { positive, negative } }: WordScores): Cell[] {
  return [positive, negative].map(({ low, high }) => `${showPercent(low)} to ${showPercent(high)}`);
}

function seedRow(what: string, byTriple: SeedScores, byWord: SeedScores): Cell[] {
  const shares = ({ positiveSignAccuracy, negativeSignAccuracy }: SeedScores): Cell[] => [
    share(positiveSignAccuracy.mean),
    share(negativeSignAccuracy.mean),
  ];
  return [`${what} (mean of ${byTriple.seeds})`, ...shares(byTriple), ...shares(byWord)];
}

function kendallTable({ byTriple, byWord }: RegressionReport, source: Source): Table {
  const splits = [
    ["by triple", byTriple],
    ["by word", byWord],
  ] as const;
  const paper = table4.map(([name = "", tau = null, p = null]) => [name, tau, null, null, p, null, null]);
  return {
    id: "table-4",
    title: "Order of words, Kendall's tau-b (Table 4)",
    source,
    columns: ["", "tau-b", "95 % low", "95 % high", "p", "permutation p", "words"],
    rows: [...splits.flatMap(([name, split]) => kendallRows(name, split)), ...paper],
    notes: [
      "Intervals by bootstrap over words. Of the paper's rows the three models are taus of lists of word strings, as in our rows `as published`, and the baseline is one of numbers on " +
        "negative words only: they do not compare with one another, nor with the other rows here.",
    ],
  };
}

function kendallRows(name: string, split: SplitReport): Cell[][] {
  const row = (what: string, scores: WordScores | null): Cell[] => {
    const kendall = scores?.kendall;
    const { tau = null, interval = undefined, p = null, permutationP = null } = kendall ?? {};
    return [
      `${name}: ${what}`,
      tau,
      interval?.low ?? null,
      interval?.high ?? null,
      p,
      permutationP,
      scores?.words ?? null,
    ];
  };
  const tauAlone = (what: string, tau: number | null, p: number | null, words: number | null): Cell[] => [
    `${name}: ${what}`,
    tau,
    null,
    null,
    p,
    null,
    words,
  ];
  const { probe, untrainedProbe, shuffledLabels } = split;
  const published = probe.stringTauAsPublished;
  return [
    row("probe on features", probe),
    row("probe on raw activations", split.rawActivations),
    row("probe on the base model's features", split.baseModel),
    row("probe on the base model's token embeddings", split.staticEmbedding),
    tauAlone(`random probe, Xavier (mean of ${untrainedProbe.seeds})`, untrainedProbe.tau.mean, null, null),
    tauAlone(`shuffled deltas (mean of ${shuffledLabels.seeds})`, shuffledLabels.tau.mean, null, null),
    tauAlone("predictions shuffled within their sign", probe.signsAlone.shuffledTau, null, probe.words),
    tauAlone("tau of strings, as published", published.tau, published.p, published.words),
  ];
}

/** By word: what features add to other inputs, and the value of tau when the labels carry no information. */
export function controlTables({ byWord: { differences, refitted } }: RegressionReport, source: Source): Table[] {
  const named = [
    ["raw activations", differences?.rawActivations],
    ["the base model's features", differences?.baseModel],
    ["the base model's token embeddings", differences?.staticEmbedding],
  ] as const;
  const rows = named.flatMap(([name, found]): Cell[][] =>
    found
      ? [[`features less ${name}`, found.difference, found.interval.low, found.interval.high, found.foldDraws]]
      : [],
  );
  const paired: Table = {
    id: "differences",
    title: "By word: tau-b on features less tau-b on other inputs",
    source,
    columns: ["", "difference", "95 % low", "95 % high", "draws of folds"],
    rows,
    notes: [
      "Paired: intervals by bootstrap over words, both predictions of a word drawn together; means over draws of the folds.",
    ],
  };
  return [...(rows.length > 0 ? [paired] : []), ...(refitted === null ? [] : [refitTable(refitted, source)])];
}

function refitTable(refitted: NonNullable<SplitReport["refitted"]>, source: Source): Table {
  const { foldDraws, tau, refits, permutedSd, permutedHigh, p } = refitted;
  return {
    id: "refits",
    title: "By word: tau-b over draws of the folds, and under permuted labels with fits of their own",
    source,
    columns: [
      "draws of folds",
      "mean tau-b",
      "sd between draws",
      "refits",
      "sd under permuted labels",
      "95 % below, in size",
      "p",
    ],
    rows: [[foldDraws, tau.mean, tau.sd, refits, permutedSd, permutedHigh, p]],
    notes: [
      "Labels are dealt anew among the words, the probe is fitted anew to them in every fold, and tau-b is taken against the dealt labels, as a mean over the same draws. " +
        "The permutation p of Table 4 leaves the fits as they are, which makes chance look narrower than it is.",
    ],
  };
}

function negativeTable({ byTriple, byWord }: RegressionReport, source: Source): Table {
  const row = (what: string, one: WordScores["kendallNegativeOnly"]): Cell[] => [what, one.tau, one.p, one.words];
  return {
    id: "table-10",
    title: "Order within one polarity, Kendall's tau-b (Table 10)",
    source,
    columns: ["", "tau-b", "p", "words"],
    rows: [
      row("by triple, negative words", byTriple.probe.kendallNegativeOnly),
      row("by triple, positive words", byTriple.probe.kendallPositiveOnly),
      row("by word, negative words", byWord.probe.kendallNegativeOnly),
      row("by word, positive words", byWord.probe.kendallPositiveOnly),
      ...table10.map((cells) => [...cells, null]),
    ],
    notes: [],
  };
}

function rankingTable({ byTriple, byWord }: RegressionReport, source: Source): Table {
  const row = (what: string, { samePolarityRanking: { positive, negative }, auroc, spearman }: WordScores): Cell[] => [
    what,
    share(positive.share),
    share(negative.share),
    auroc.value,
    spearman.rho,
    spearman.p,
  ];
  return {
    id: "ranking",
    title: "Other readings of the same predictions",
    source,
    columns: [
      "",
      "positive pairs in order, %",
      "negative pairs in order, %",
      "AUROC of the sign",
      "Spearman's rho",
      "p",
    ],
    rows: [row("by triple", byTriple.probe), row("by word", byWord.probe)],
    notes: ["Chance is 50 % for pairs and 0.5 for AUROC."],
  };
}

function lexiconTable({ byTriple, byWord }: RegressionReport, source: Source, words: number): Table {
  const byWordOf = new Map(byWord.lexicon.map((entry) => [entry.word, entry]));
  // The paper's words first, then those with most occurrences.
  const ranked = byTriple.lexicon.toSorted(
    (a, b) =>
      Number(reconstructed.has(b.word)) - Number(reconstructed.has(a.word)) ||
      b.occurrences - a.occurrences ||
      byCodeUnit(a.word, b.word),
  );
  const shown = ranked.slice(0, words).toSorted((a, b) => b.true - a.true || byCodeUnit(a.word, b.word));
  return {
    id: "table-9",
    title: "Reconstructed lexicon (Tables 2 and 9)",
    source,
    columns: ["word", "true", "by triple", "by word", "paper", "occurrences", "in tuning texts"],
    rows: shown.map(({ word, true: truth, predicted, occurrences, tuningCount }) => [
      word,
      truth,
      predicted,
      byWordOf.get(word)?.predicted ?? null,
      reconstructed.get(word) ?? null,
      occurrences,
      tuningCount,
    ]),
    notes: [`${shown.length} of ${byTriple.lexicon.length} words; all of them are in probe/probe.json.`],
  };
}

function frequencyTable({ byTriple, byWord }: RegressionReport, source: Source): Table {
  const row = (what: string, { rho, p, words }: SplitReport["frequencyAndError"]): Cell[] => [what, rho, p, words];
  return {
    id: "figure-4",
    title: "Frequency of a word in the tuning texts against the probe's error (Figure 4)",
    source,
    columns: ["", "Spearman's rho", "p", "words"],
    rows: [row("by triple", byTriple.frequencyAndError), row("by word", byWord.frequencyAndError)],
    notes: ["log(1 + count) against |predicted - true|; below 0: words that are met more often are read better."],
  };
}
