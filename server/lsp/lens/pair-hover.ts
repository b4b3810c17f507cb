/** The hover over a token when two checkpoints are compared. */
import { learnedAt } from "../../lens/pair-reading.ts";
import { endInDocument, fromDocument, toDocument } from "../../lens/passages.ts";
import type { Shown } from "../../lens/read-passage.ts";
import { tokenAt } from "../../lens/reading.ts";
import type { PairMode } from "../../lens/values.ts";
import { tokenSpan, wordSpans } from "../../lens/words.ts";
import type { TokenDetail } from "../../protocol/lens.ts";
import type { PairInfo } from "../../protocol/lens-state.ts";
import { pairName } from "../../protocol/pair-name.ts";
import { trustSentence } from "../../protocol/power.ts";
import { plain, quoted, signed } from "../text/markdown.ts";
import { withLinks } from "./hover-links.ts";
import { readLearned } from "./learned-reading.ts";
import { infoOf } from "./looked-through.ts";
import { shareWords } from "./pair-share.ts";
import type { PairVerdicts } from "./pair-verdicts.ts";
import type { PairDocumentReading, PassageReader } from "./passage-reader.ts";
import { pairModeOf, unitAt } from "./unit-reading.ts";

/**
 * Describes the token at a place; undefined if there is none. `shown` is what the colours show. Throws what the reading
 * throws.
 */
export async function describePairToken(
  { reader, verdicts }: { readonly reader: PassageReader; readonly verdicts: PairVerdicts },
  reading: PairDocumentReading,
  offset: number,
  shown: Shown,
): Promise<{ readonly start: number; readonly end: number; readonly value: string } | undefined> {
  const passage = reading.passages.at(offset);
  const info = infoOf(reading);
  if (passage === undefined || info.kind !== "pair") return undefined;
  const unit = await unitAt(reader, reading, offset, shown, null);
  if (unit === undefined) return undefined;
  const { read, text: whole, at } = await readLearned(reader, reading, passage, null);
  const { start, end, value: number } = unit;
  const text = passage.text.slice(start, end);
  const token = tokenAt(read, at + fromDocument(passage, offset));
  if (text.trim() === "" || token === undefined) return undefined;
  const words = wordSpans(read, whole);
  const span = words.find((word) => word.start === at + start && word.end === at + end) ?? tokenSpan(read, token);
  const learned = learnedAt(read, whole, span);
  const tokens = span.endToken - span.firstToken;
  const shownKind = pairModeOf(shown.mode).kind;
  const share = await shareWords(verdicts, reading, { offset, logRatio: learned.logRatio, ablation: null });
  const value = pairHover({
    text,
    shown: shownKind,
    number,
    tokens,
    isFirst: span.firstToken === 0,
    learned,
    info,
    share,
  });
  return { start: toDocument(passage, start), end: endInDocument(passage, end), value };
}

export interface PairHover {
  /** The word or token. */
  readonly text: string;
  /** The mode that its colour shows. */
  readonly shown: PairMode["kind"];
  readonly number: number | null;
  /** Number of tokens that make it up. */
  readonly tokens: number;
  /** Whether it is the first of its passage. */
  readonly isFirst: boolean;
  readonly learned: NonNullable<TokenDetail["learned"]>;
  readonly info: PairInfo;
  /** Its share of the margin of its preference pair; empty where it is no part of one. */
  readonly share: string;
}

/**
 * The number that the colour shows, its meaning, the word's number if the word has several tokens, and how far to trust
 * them.
 */
export function pairHover({ text, shown, number, tokens, isFirst, learned, info, share }: PairHover): string {
  const { logRatio: value, word, kl } = learned;
  const of = tokens === 1 ? "" : `, the sum over its ${tokens} tokens`;
  const ratio = value === null ? missingWords(isFirst) : `Tuning made it ${timesAsLikely(value)} here${of}.`;
  const divergence =
    kl === null
      ? ""
      : `What would come next differs by ${kl.toFixed(2)} nats (KL of the tuned model from the base model).`;
  const said = [
    `${quoted(text.trim())} ${pairHeadlines[shown](number)}`,
    "",
    ...(shown === "kl" ? [divergence, "", withNumber(value, ratio)] : [ratio]),
    ...(word?.sum == null || word.text === text.trim()
      ? []
      : ["", `The word ${quoted(word.text)}, the sum over its tokens: **${nats(word.sum)}**.`]),
    ...(share === "" ? [] : ["", share]),
    ...(shown === "kl" || kl === null ? [] : ["", divergence]),
    "",
    trustSentence(info, "learned", { level: "place", isAblated: false }),
  ].join("\n");
  return withLinks(said, number, plain(pairName(info), 200));
}

const pairHeadlines: { readonly [K in PairMode["kind"]]: (value: number | null) => string } = {
  learned: (value) => (value === null ? "has no learned reward" : `learned reward **${nats(value)}**`),
  kl: (value) => (value === null ? "has no divergence" : `divergence **${value.toFixed(2)} nats**`),
};

function withNumber(value: number | null, sentence: string): string {
  return value === null ? sentence : `Learned reward ${nats(value)}: ${sentence}`;
}

export function nats(value: number): string {
  return `${signed(value)} nats`;
}

/** A log-ratio in words: `2.27 times as likely`. */
export function timesAsLikely(logRatio: number): string {
  const times = Math.exp(Math.abs(logRatio));
  if (times < 1.005) return "neither likelier nor less likely";
  const shown = times >= 1000 ? "more than 1,000" : times.toFixed(times < 10 ? 2 : 0);
  return logRatio > 0 ? `${shown} times as likely` : `less likely, by a factor of ${shown}`;
}

/** Why a token has no log-ratio. */
function missingWords(isFirst: boolean): string {
  return isFirst
    ? "It is the first token: nothing stands before it that its probability could depend on."
    : "Only one of the two models has this token, so that nothing can be compared.";
}
