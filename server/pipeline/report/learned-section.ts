import type { Learned, LearnedWord } from "../../learned/report-types.ts";
import { type Cell, extremes, type Section, type Source, showCell, showPercent, type Table } from "./document.ts";

/** What tuning made likelier, from the two models alone. Shows `words` words. */
export function learnedSection(found: Learned, source: Source, words: number): Section {
  const { settings, texts, tokens } = found;
  return {
    title: "What tuning made likelier",
    text: [
      "λ, the log-ratio log π tuned − log π base of a word where it stands (the sum over its pieces, in nats), is above zero where tuning made the word likelier there. " +
        "It needs no labels, no autoencoder and no probe: the ratings stand beside it and have no part in it, so that there is nothing to split by triple or by word.",
      `${texts} texts, ${tokens} tokens read by both models. Means of words are centred on the mean of the ${found.statistics.words} words that have at least ${settings.minPlaces} places. ` +
        "A word that tuning left alone lies somewhat off this centre where most words moved.",
    ],
    tables: [statisticsTable(found, source), strongestTable(found, source, words), contraryTable(found, source, words)],
    figures: [],
  };
}

/** One line for the top of the report. */
export function learnedFinding({ statistics, kl }: Learned): string {
  const { words, tau, auroc, signs } = statistics;
  const interval = ({ value, low, high }: Learned["kl"]): string =>
    `${showCell(value)} (95 % interval ${showCell(low)} to ${showCell(high)})`;
  if (tau.value === null)
    return "What tuning made likelier cannot be held against the ratings: it says the same of all words that have enough places, or there are too few.";
  return (
    `Without any label, the log-ratio of tuned and base model orders ${words} words as their ratings do with Kendall's tau-b ${interval(tau)}, ` +
    `and a word rated positive stands above one rated negative with AUROC ${interval(auroc)}; signs right: ${showPercent(signs.positive.share)} and ${showPercent(signs.negative.share)}. ` +
    `Tuning moved the next token's distribution by a KL of ${showCell(kl.value)} nats.`
  );
}

function statisticsTable({ statistics, kl, settings }: Learned, source: Source): Table {
  const { tau, auroc, signs, words } = statistics;
  const share = ({ share: value, low, high, of }: (typeof signs)["positive"]): Cell[] => [
    value === null ? null : 100 * value,
    100 * low,
    100 * high,
    of,
  ];
  return {
    id: "learned",
    title: "The log-ratio of words against their ratings",
    source,
    columns: ["", "", "95 % low", "95 % high", "words"],
    rows: [
      ["Kendall's tau-b with the rating", tau.value, tau.low, tau.high, words],
      [
        "AUROC, positive against negative words",
        auroc.value,
        auroc.low,
        auroc.high,
        signs.positive.of + signs.negative.of,
      ],
      ["signs right, positive words, %", ...share(signs.positive)],
      ["signs right, negative words, %", ...share(signs.negative)],
      ["KL(tuned || base), nats a token", kl.value, kl.low, kl.high, null],
    ],
    notes: [
      `Words of at least ${settings.minPlaces} places. Intervals of tau-b and AUROC by bootstrap over words, of signs by Wilson, of the KL by bootstrap over texts.`,
    ],
  };
}

function strongestTable(found: Learned, source: Source, words: number): Table {
  const enough = found.words.filter(({ places }) => places >= found.settings.minPlaces);
  const byMean = enough.toSorted((a, b) => b.centred - a.centred);
  const shown = extremes(byMean, words);
  return {
    id: "learned-words",
    title: "Words that tuning made likelier or unlikelier than others, the extremes",
    source,
    columns: wordColumns,
    rows: shown.map(wordRow),
    notes: [
      `${shown.length} of ${enough.length} words, in nats; intervals by bootstrap over texts, the words' mean taken anew each time. All words are in learned/learned.json.`,
    ],
  };
}

function contraryTable(found: Learned, source: Source, words: number): Table {
  const contrary = found.words
    .filter(({ places }) => places >= found.settings.minPlaces)
    .filter(({ rating, low, high }) => low !== null && high !== null && (rating > 0 ? high < 0 : rating < 0 && low > 0))
    .toSorted((a, b) => Math.abs(b.centred) - Math.abs(a.centred));
  const shown = contrary.slice(0, words);
  return {
    id: "learned-contrary",
    title: "Words whose sign contradicts their rating",
    source,
    columns: wordColumns,
    rows: shown.map(wordRow),
    notes: [
      `${shown.length} of ${contrary.length} words whose interval lies wholly on the other side of zero than the rating. Each interval is for its word alone: ` +
        "words were looked through for the contrary ones, and how many are chance `lfp calibrate` tells.",
    ],
  };
}

const wordColumns = ["word", "rating", "mean λ", "centred", "95 % low", "95 % high", "places", "texts"];

function wordRow({ word, rating, mean, centred, low, high, places, texts }: LearnedWord): Cell[] {
  return [word, rating, mean, centred, low, high, places, texts];
}
