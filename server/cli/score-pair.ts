/** `lfp score` through a tuned model and the one that it was tuned from. */

import { visibleLine } from "../common/untrusted-text.ts";
import {
  type PairDocumentWord,
  type ScoredPairPassage,
  type ScoredPassage,
  scorePairPassages,
} from "../lens/document.ts";
import { documentPassages } from "../lens/document-passages.ts";
import type { PairLens } from "../lens/pair-lens.ts";
import type { Passage } from "../lens/passages.ts";
import { type PairMode, pairLimit } from "../lens/values.ts";
import type { PairReferences } from "../models/pair.ts";
import { openPairLens } from "../pipeline/finished/open-pair.ts";
import type { CommandResult } from "./command.ts";
import { progressNotes } from "./download.ts";
import { UsageError } from "./errors.ts";
import {
  askedFeature,
  dictionaryOf,
  FeatureMeans,
  featureColumns,
  featureLines,
  featuresAt,
  withFeatures,
} from "./score-features.ts";
import { formatOf, type TokenFields } from "./score-file.ts";
import { klSentence, learnedSentence, legends, type ScoreDocument, type ScoreGiven } from "./score-options.ts";
import { RunningMean, scoreResult, shownText, type ThroughOptions, throughPassages } from "./score-passages.ts";
import type { ShownToken } from "./score-view.ts";

const columns = ["start", "end", "text", "learned", "kl", "word"] as const;

/** Reads the document through both models. */
export async function scorePair(
  given: ScoreGiven,
  references: PairReferences,
  document: ScoreDocument,
): Promise<CommandResult> {
  const { options: chosen, env, signal, note } = given;
  const dictionary = dictionaryOf(given);
  const mode = modeOf(given);
  if (chosen.out !== undefined) formatOf(chosen.out);
  const { device, threads, download } = chosen;
  const bos = chosen.bos ? true : chosen["no-bos"] ? false : undefined;
  const resolve = { download, env, signal, onProgress: progressNotes(note) };
  const lens = await openPairLens(references, {
    device,
    threads,
    env,
    signal,
    note,
    copiesWeights: true,
    resolve,
    bos,
    dictionary,
  });
  try {
    const passages = documentPassages(document.text, { ...document, template: lens.template });
    const options = { out: chosen.out, columns, note };
    if (lens.dictionary === undefined) {
      const scored = scorePairPassages(lens, passages, { signal });
      return resultOf(given, lens, { mode, found: await gather(scored, options) });
    }
    const alone = Array.from(passages, ({ answer: _, conversation: __, ...passage }): Passage => passage);
    const means = new FeatureMeans(lens.dictionary.features);
    const asked = askedFeature(chosen.feature, lens);
    const scored = scorePairPassages(lens, alone, { signal });
    const read = withFeatures(lens, alone, scored, { means, asked, signal });
    const found = await gather(read, { ...options, columns: [...columns, ...featureColumns] });
    return resultOf(given, lens, { mode, found, means });
  } finally {
    await lens.close();
  }
}

type Mode = PairMode["kind"] | "feature";

function modeOf({ options: { mode, sae, feature } }: ScoreGiven): Mode {
  if ((mode === "feature") !== (feature !== undefined))
    throw new UsageError("--mode feature and --feature ID go together");
  if (mode === undefined || mode === "learned" || mode === "kl") return mode ?? "learned";
  if (mode === "feature" && sae !== undefined) return mode;
  throw new UsageError(
    `--mode ${mode} needs a run (--run RUN): two models alone have learned and kl, with --sae feature too`,
  );
}

interface Found {
  /** Empty if they go to a file. */
  readonly passages: readonly ScoredPairPassage[];
  readonly summary: {
    readonly tokens: number;
    readonly words: number;
    /** Means of the tokens' learned reward and divergence. */
    readonly mean: number | null;
    readonly kl: number | null;
    readonly refused: number;
  };
  /** The words that tuning made more likely and less likely by the most. */
  readonly extremes: { readonly raised: readonly PairDocumentWord[]; readonly lowered: readonly PairDocumentWord[] };
}

async function gather<P extends ScoredPairPassage, K extends string & keyof P["tokens"][number]>(
  scored: AsyncIterable<P & ScoredPassage<TokenFields<K>>>,
  options: Omit<ThroughOptions<K, P & ScoredPassage<TokenFields<K>>>, "visit">,
): Promise<Found> {
  let [tokens, words] = [0, 0];
  const [mean, kl] = [new RunningMean(), new RunningMean()];
  let ranked: PairDocumentWord[] = [];
  const visit = (passage: ScoredPairPassage): void => {
    tokens += passage.tokens.length;
    words += passage.words.length;
    for (const token of passage.tokens) {
      mean.add(token.learned);
      kl.add(token.kl);
    }
    ranked = extremesOf([...ranked, ...passage.words.filter(({ learned }) => learned !== null)]);
  };
  const { passages, refused } = await throughPassages(scored, { ...options, visit });
  return {
    passages,
    summary: { tokens, words, mean: mean.value, kl: kl.value, refused },
    extremes: {
      raised: ranked.filter(({ learned }) => (learned ?? 0) > 0).slice(0, listed),
      lowered: ranked
        .filter(({ learned }) => (learned ?? 0) < 0)
        .slice(-listed)
        .reverse(),
    },
  };
}

/** Number of words listed of each sign. */
const listed = 5;

/** The first and last few by learned reward, the largest first. */
function extremesOf(words: PairDocumentWord[]): PairDocumentWord[] {
  const sorted = words.sort((a, b) => (b.learned ?? 0) - (a.learned ?? 0));
  return sorted.length <= 2 * listed ? sorted : [...sorted.slice(0, listed), ...sorted.slice(-listed)];
}

interface Result {
  readonly mode: Mode;
  readonly found: Found;
  /** Of a dictionary's features, if there is one. */
  readonly means?: FeatureMeans;
}

function resultOf(given: ScoreGiven, { info, dictionary }: PairLens, { mode, found, means }: Result): CommandResult {
  const { tuned, base, bos, device } = info;
  const { passages, summary, extremes } = found;
  const tokens = passages.map((passage) => shownTokens(passage, mode));
  const limit = mode === "feature" ? largestOf(tokens) : pairLimit({ kind: mode });
  const features = means?.extremes(listed);
  const { sae: folder } = given.options;
  const read = dictionary && {
    dictionary: { folder, layer: dictionary.layer, site: dictionary.site, features: dictionary.features },
  };
  const json = {
    tuned,
    base,
    mode,
    unit: mode === "feature" ? null : "nats",
    bos,
    device,
    limit,
    ...read,
    summary,
    ...(features && { features }),
  };
  const view = {
    legend: legends[mode] ?? `${mode} ${given.options.feature ?? ""}`.trim(),
    limit,
    isSigned: mode === "learned",
  };
  const own = dictionary === undefined ? [] : ["feature", "tuned", "base"];
  const lines = [
    shownText(given, tokens, { ...view, columns: ["learned", "kl", "word", ...own] }),
    ...(summary.tokens === 0 ? ["0 tokens: there is no text to read"] : summaryLines(summary, extremes)),
    ...(features === undefined ? [] : featureLines(features)),
    ...(bos || summary.tokens === 0
      ? []
      : ["the first token of a passage has no learned reward: nothing stands before it (--bos puts a token there)"]),
  ];
  return scoreResult(given, { json, lines, passages });
}

function summaryLines({ tokens, mean, kl }: Found["summary"], { raised, lowered }: Found["extremes"]): string[] {
  return [
    `${tokens} tokens: mean learned ${inNats(mean)}, mean kl ${inNats(kl)}`,
    ...wordsLine("words that tuning made likelier", raised),
    ...wordsLine("words that tuning made less likely", lowered),
    `${learnedSentence}; word: its sum over the word`,
    klSentence,
  ];
}

function inNats(value: number | null): string {
  return value === null ? "unknown" : `${value.toFixed(3)} nats`;
}

function wordsLine(what: string, words: readonly PairDocumentWord[]): string[] {
  if (words.length === 0) return [];
  return [`${what}: ${words.map(({ text, learned }) => `${visibleLine(text)} ${learned?.toFixed(2)}`).join(", ")}`];
}

function largestOf(passages: readonly (readonly ShownToken[])[]): number {
  return passages.flat().reduce((most, { value }) => Math.max(most, value ?? 0), 0) || 1;
}

/** Tokens to show; a word's sum is at its first token. */
function shownTokens({ tokens, words }: ScoredPairPassage, mode: Mode): ShownToken[] {
  let at = 0;
  return tokens.map((token): ShownToken => {
    const { start, end, text, learned, kl } = token;
    const own = featuresAt(token);
    const word = words[at];
    const begins = word !== undefined && word.start < end;
    if (begins) at += 1;
    return {
      start,
      text,
      value: { learned, kl, feature: own?.featureTuned ?? null }[mode],
      isFaded: false,
      cells: [
        ...[learned, kl, begins ? word.learned : null],
        ...(own === undefined ? [] : [own.feature, own.featureTuned, own.featureBase]),
      ],
    };
  });
}
