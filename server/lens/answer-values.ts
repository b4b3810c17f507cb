/** Values of passages that are read in a longer text: answers of preference pairs, messages of conversations. */
import type { TokenRange } from "../models/tokenizer.ts";
import { UnreadPassageError } from "./errors.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import type { AnswerPlace, Passage } from "./passages.ts";
import type { AnswerReading } from "./preference-reading.ts";
import type { Shown } from "./shown.ts";
import { type ModeValues, type PairMode, pairTokenValues } from "./values.ts";
import { pairWordValues } from "./word-values.ts";
import type { TokenPlaces, TokenSpan } from "./words.ts";

/** What a model reads for a passage. */
export interface ReadContext {
  /** Up to the passage's end at least. */
  readonly text: string;
  /** Where the passage begins in it. */
  readonly from: number;
  /** Whether a chat template wrote it. */
  readonly templated: boolean;
}

/** Throws `UnreadPassageError`. */
export function contextOf({ text, answer, conversation, unread }: ReadablePassage): ReadContext {
  if (unread !== undefined) throw new UnreadPassageError(unread);
  if (conversation !== undefined) return { text: conversation.text, from: conversation.at, templated: true };
  if (answer === undefined) return { text, from: 0, templated: false };
  const before = answer.texts.prompt + answer.texts[answer.side].slice(0, answer.at);
  return { text: before + text, from: before.length, templated: answer.texts.form === "template" };
}

/** A passage as far as its reading depends on it. */
export type ReadablePassage = Pick<Passage, "text" | "answer" | "conversation" | "unread">;

/** The reading of a passage's answer. Throws `UnreadPassageError`, and what `PairReader.readPreference` throws. */
export async function readAnswer(
  reader: PairReader,
  { texts, side }: AnswerPlace,
  options: ReadOptions = {},
): Promise<AnswerReading> {
  const reading = await reader.readPreference(texts, options);
  if (reading.kind === "refused") throw new UnreadPassageError(`the pair is not read: ${reading.why}`);
  return reading[side];
}

/** Values of two models for a passage of an answer, in offsets of the passage. `rated` are the rated words of a text. */
export async function answerValuesOf(
  reader: PairReader,
  { text, answer }: { readonly text: string; readonly answer: AnswerPlace },
  { mode, unit }: Shown<PairMode>,
  options: ReadOptions,
  rated: (text: string) => readonly TokenRange[] = () => [],
): Promise<ModeValues> {
  const { texts, side, at } = answer;
  const reading = await readAnswer(reader, answer, options);
  const values =
    unit === "token" ? pairTokenValues(reading, mode) : pairWordValues(reading, texts[side], mode, rated(texts[side]));
  return { ...valuesWithin(values, at, at + text.length), read: reading.read };
}

/** The values from `from` to before `to`, in offsets from there. */
export function valuesWithin(all: ModeValues, from: number, to: number): ModeValues {
  const kept = [...all.starts.keys()].filter((at) => (all.ends[at] ?? 0) > from && (all.starts[at] ?? 0) < to);
  const far = new Set(all.unfamiliar);
  const placed = (offset: number | undefined): number => Math.min(to, Math.max(from, offset ?? 0)) - from;
  return {
    starts: Int32Array.from(kept, (at) => placed(all.starts[at])),
    ends: Int32Array.from(kept, (at) => placed(all.ends[at])),
    values: kept.map((at) => all.values[at] ?? null),
    unfamiliar: kept.flatMap((at, index) => (far.has(at) ? [index] : [])),
    read: all.read,
  };
}

/** The tokens of a reading that a range of its text touches. */
export function spanWithin({ starts, ends }: TokenPlaces, start: number, end: number): TokenSpan {
  let firstToken = 0;
  while (firstToken < ends.length && (ends[firstToken] ?? 0) <= start) firstToken += 1;
  let endToken = firstToken;
  while (endToken < starts.length && (starts[endToken] ?? 0) < end) endToken += 1;
  return { start, end, firstToken, endToken };
}
