/** `lfp score` through a tuned model and the one that it was tuned from. */

import { visibleLine } from "../common/untrusted-text.ts";
import { type PairDocumentWord, type ScoredPairPassage, scorePairPassages } from "../lens/document.ts";
import { passagesOf } from "../lens/passages.ts";
import { type PairMode, pairLimit } from "../lens/values.ts";
import type { PairReferences } from "../models/pair.ts";
import { openPairLens } from "../pipeline/finished/open-pair.ts";
import type { PairInfo } from "../protocol/lens-state.ts";
import type { CommandResult } from "./command.ts";
import { progressNotes } from "./download.ts";
import { UsageError } from "./errors.ts";
import { formatOf } from "./score-file.ts";
import {
  klSentence,
  learnedSentence,
  legends,
  type ScoreDocument,
  type ScoreGiven,
  type ScoreMode,
} from "./score-options.ts";
import { RunningMean, scoreResult, shownText, throughPassages } from "./score-passages.ts";
import type { ShownToken } from "./score-view.ts";

const columns = ["start", "end", "text", "learned", "kl", "word"] as const;

/** Reads the document through both models. */
export async function scorePair(
  given: ScoreGiven,
  references: PairReferences,
  document: ScoreDocument,
): Promise<CommandResult> {
  const { options: chosen, env, signal, note } = given;
  const mode = modeOf(chosen.mode);
  if (chosen.out !== undefined) formatOf(chosen.out);
  const { device, threads, download } = chosen;
  const bos = chosen.bos ? true : chosen["no-bos"] ? false : undefined;
  const resolve = { download, env, signal, onProgress: progressNotes(note) };
  const lens = await openPairLens(references, { device, threads, env, signal, note, resolve, bos });
  try {
    const scored = scorePairPassages(lens, passagesOf(document.text, document.languageId), { signal });
    return resultOf(given, lens.info, mode, await gather(scored, chosen.out, note));
  } finally {
    await lens.close();
  }
}

function modeOf(name: ScoreMode | undefined): PairMode["kind"] {
  if (name === undefined || name === "learned" || name === "kl") return name ?? "learned";
  throw new UsageError(`--mode ${name} needs a run (--run RUN): two models alone have learned and kl`);
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

async function gather(
  scored: AsyncIterable<ScoredPairPassage>,
  out: string | undefined,
  note: (line: string) => void,
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
  const { passages, refused } = await throughPassages(scored, { out, columns, note, visit });
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

function resultOf(
  given: ScoreGiven,
  { tuned, base, bos, device }: PairInfo,
  mode: PairMode["kind"],
  { passages, summary, extremes }: Found,
): CommandResult {
  const limit = pairLimit({ kind: mode });
  const json = { tuned, base, mode, unit: "nats", bos, device, limit, summary };
  const tokens = passages.map((passage) => shownTokens(passage, mode));
  const view = { legend: legends[mode] ?? mode, limit, isSigned: mode === "learned" };
  const lines = [
    shownText(given, tokens, { ...view, columns: ["learned", "kl", "word"] }),
    ...(summary.tokens === 0 ? ["0 tokens: there is no text to read"] : summaryLines(summary, extremes)),
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

/** Tokens to show; a word's sum is at its first token. */
function shownTokens({ tokens, words }: ScoredPairPassage, mode: PairMode["kind"]): ShownToken[] {
  let at = 0;
  return tokens.map(({ start, end, text, learned, kl }): ShownToken => {
    const word = words[at];
    const begins = word !== undefined && word.start < end;
    if (begins) at += 1;
    return {
      start,
      text,
      value: mode === "learned" ? learned : kl,
      isFaded: false,
      cells: [learned, kl, begins ? word.learned : null],
    };
  });
}
