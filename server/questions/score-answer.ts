/** Answers "score": a text read through a run, in words for a language model. */
import { visibleLine } from "../common/untrusted-text.ts";
import type { Lens } from "../lens/lens.ts";
import { type Passage, passagesOf } from "../lens/passages.ts";
import { unitValuesOf } from "../lens/read-passage.ts";
import { isPairMode } from "../lens/values.ts";
import { UnreadableTextError } from "../models/tokenizer.ts";
import type { LensMode } from "../protocol/lens.ts";
import { modeWords } from "../protocol/mode-words.ts";
import { readingMode, trustSentence, whyNotOffered } from "../protocol/power.ts";
import type { QuestionInput } from "../protocol/questions.ts";
import { ReadingMode } from "../protocol/reading-mode.ts";
import { QuestionInputError } from "./errors.ts";
import { asColumns, shown } from "./feature-text.ts";
import { findRun, type Sources } from "./sources.ts";

interface Word {
  readonly passage: number;
  readonly text: string;
  readonly value: number | null;
  /** The feedback's rating; null where it rates no word. */
  readonly rating: number | null;
  readonly isUnfamiliar: boolean;
}

export async function scoreAnswer(
  input: QuestionInput<"score">,
  sources: Sources,
  signal: AbortSignal,
): Promise<string> {
  const folder = await findRun(sources, input.run);
  const { lens, done } = await sources.borrowLens(folder, signal);
  try {
    const mode = modeOf(input, lens);
    const words: Word[] = [];
    const problems: string[] = [];
    for (const [at, passage] of passagesOf(input.text, "plaintext").entries()) {
      const parts = ["ask", folder, passage.text, JSON.stringify(mode)];
      const read = await sources.guard(parts, () => readWords(lens, passage, at, mode, signal));
      if (typeof read === "string") problems.push(`Paragraph ${at + 1} was left out: ${read}`);
      else words.push(...read);
    }
    return textOf({ lens, mode, words, problems, most: input.words });
  } finally {
    await done();
  }
}

function modeOf({ mode, feature }: QuestionInput<"score">, { info }: Lens): LensMode {
  if (mode !== undefined && feature !== undefined)
    throw new QuestionInputError("mode and feature were both given; one of them says what a word's number is");
  if (feature !== undefined) return { kind: "feature", id: feature };
  const kind = mode ?? readingMode(info, "auto");
  const reason = whyNotOffered(kind, info);
  if (reason !== undefined) throw new QuestionInputError(`the mode ${kind} is not there for this run: ${reason}`);
  return { kind };
}

/** A passage's words, or why it cannot be read. */
async function readWords(
  lens: Lens,
  { text }: Passage,
  passage: number,
  mode: LensMode,
  signal: AbortSignal,
): Promise<Word[] | string> {
  const read = (one: LensMode) => unitValuesOf(lens, { text }, { mode: one, unit: "word" }, { signal });
  try {
    const { starts, ends, values, unfamiliar } = await read(mode);
    const rated = lens.info.hasTrueReward ? await read({ kind: "true" }) : undefined;
    const ratings = new Map(rated?.values.map((value, at) => [rated.starts[at], value]));
    const strange = new Set(unfamiliar);
    return values.map((value, at) => ({
      passage,
      text: text.slice(starts[at], ends[at]),
      value,
      rating: ratings.get(starts[at]) ?? null,
      isUnfamiliar: strange.has(at),
    }));
  } catch (error) {
    if (!(error instanceof UnreadableTextError)) throw error;
    return error.message;
  }
}

interface Found {
  readonly lens: Lens;
  readonly mode: LensMode;
  readonly words: readonly Word[];
  readonly problems: readonly string[];
  readonly most: number;
}

function textOf({ lens: { info }, mode, words, problems, most }: Found): string {
  const { label, detail, sign } = modeWords[mode.kind];
  const name = mode.kind === "feature" ? `Activation of ${mode.id}` : label;
  const trusted = ReadingMode.safeParse(mode.kind).data;
  const valued = words.filter((word) => word.value !== null);
  return [
    `Run ${info.runName} (${info.runFolder}), task ${info.task}.`,
    `${name}: ${detail}${sign === undefined ? "" : `; ${sign}`}.`,
    ...(trusted === undefined ? [] : [trustSentence(info, trusted, { level: "place", isAblated: false })]),
    `Mean over ${valued.length} words: ${inUnit(meanOf(valued), mode)}.`,
    ...meansByPassage(words, mode),
    ...problems,
    ...(valued.length === 0 ? [] : ["", "Strongest words:", ...tableOf(strongestOf(valued), info.hasTrueReward)]),
    ...(words.length === 0
      ? []
      : ["", "Words in order:", ...tableOf(words.slice(0, most), info.hasTrueReward), ...more(words.length - most)]),
    ...(words.some((word) => word.isUnfamiliar)
      ? ["", "A star marks words unlike those that the probe was fitted on: there the value is an extrapolation."]
      : []),
  ].join("\n");
}

function meansByPassage(words: readonly Word[], mode: LensMode): string[] {
  const passages = [...new Set(words.map(({ passage }) => passage))];
  if (passages.length < 2) return [];
  const means = passages.slice(0, MEANS).map((passage) => {
    const own = words.filter((word) => word.passage === passage && word.value !== null);
    return `Paragraph ${passage + 1}: mean ${inUnit(meanOf(own), mode)} over ${own.length} words.`;
  });
  return [...means, ...(passages.length > MEANS ? [`... and ${passages.length - MEANS} paragraphs more`] : [])];
}

const MEANS = 40;

function meanOf(words: readonly Word[]): number | null {
  return words.length === 0 ? null : words.reduce((sum, { value }) => sum + (value ?? 0), 0) / words.length;
}

function inUnit(value: number | null, mode: LensMode): string {
  if (value === null) return "none";
  return `${shown(value)}${isPairMode(mode) || mode.kind === "fitted" ? " nats" : ""}`;
}

function strongestOf(words: readonly Word[]): readonly Word[] {
  return words.toSorted((a, b) => Math.abs(b.value ?? 0) - Math.abs(a.value ?? 0)).slice(0, STRONGEST);
}

const STRONGEST = 10;

function tableOf(words: readonly Word[], hasRatings: boolean): string[] {
  const rows = words.map(({ text, value, rating, isUnfamiliar }) => [
    `${visibleLine(text, 60)}${isUnfamiliar ? " *" : ""}`,
    shown(value),
    ...(hasRatings ? [shown(rating)] : []),
  ]);
  return asColumns(["word", "value", ...(hasRatings ? ["feedback's rating"] : [])], rows).split("\n");
}

function more(left: number): string[] {
  return left <= 0 ? [] : [`... and ${left} words more`];
}
