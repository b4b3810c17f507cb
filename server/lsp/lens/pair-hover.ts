/** What a hover says of a token where two checkpoints are compared. */
import { learnedAt } from "../../lens/pair-reading.ts";
import { fromDocument, toDocument } from "../../lens/passages.ts";
import { tokenAt } from "../../lens/reading.ts";
import { commandLink, howToRead } from "../../protocol/commands.ts";
import type { TokenDetail } from "../../protocol/lens.ts";
import type { PairInfo } from "../../protocol/lens-state.ts";
import { pairName } from "../../protocol/pair-name.ts";
import { trustSentence } from "../../protocol/power.ts";
import { plain, quoted, signed } from "../text/markdown.ts";
import { infoOf } from "./looked-through.ts";
import { describeReading, type PairDocumentReading, type PassageReader, passageAt } from "./passage-reader.ts";

/** Undefined where no token stands. Throws what the reading throws. */
export async function describePairToken(
  reader: PassageReader,
  reading: PairDocumentReading,
  offset: number,
): Promise<{ readonly start: number; readonly end: number; readonly value: string } | undefined> {
  const { lens, passages, signal } = reading;
  const passage = passageAt(passages, offset);
  const info = infoOf(reading);
  if (passage === undefined || info.kind !== "pair") return undefined;
  const read = await reader.read(reading, passage, describeReading("learned", null), () =>
    lens.readPair(passage.text, { signal }),
  );
  const token = tokenAt(read, fromDocument(passage, offset));
  if (token === undefined) return undefined;
  const [start = 0, end = 0] = [read.starts[token], read.ends[token]];
  const text = passage.text.slice(start, end);
  if (text.trim() === "") return undefined;
  const value = pairHover({ text, isFirst: token === 0, learned: learnedAt(read, passage.text, token), info });
  return { start: toDocument(passage, start), end: toDocument(passage, end), value };
}

export interface PairHover {
  readonly text: string;
  /** Whether it is the first of its passage. */
  readonly isFirst: boolean;
  readonly learned: NonNullable<TokenDetail["learned"]>;
  readonly info: PairInfo;
}

/** The token's number in words, that of its word where it is more, and how far to trust them. */
export function pairHover({ text, isFirst, learned: { logRatio: value, word, kl }, info }: PairHover): string {
  return [
    `${quoted(text.trim())} ${value === null ? "has no learned reward" : `learned reward **${nats(value)}**`}`,
    "",
    value === null ? missingWords(isFirst) : `Tuning made it ${timesAsLikely(value)} here.`,
    ...(word?.sum == null || word.text === text.trim()
      ? []
      : ["", `The word ${quoted(word.text)}, the sum over its tokens: **${nats(word.sum)}**.`]),
    ...(kl === null
      ? []
      : ["", `What would come next differs by ${kl.toFixed(2)} nats (KL of the tuned model from the base model).`]),
    "",
    trustSentence(info, "learned"),
    "",
    `${plain(pairName(info), 200)}. [How to read this](${commandLink(howToRead, {})})`,
  ].join("\n");
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
