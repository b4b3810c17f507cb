import { DiagnosticSeverity, type DiagnosticSeverity as Severity } from "vscode-languageserver/node";
import { endInDocument, type Passage, toDocument } from "../../lens/passages.ts";
import { isolated } from "../../protocol/isolated.ts";
import type { IgnoredWord, ProblemCode, ProblemData } from "../../protocol/problems.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";
import { sha256Of } from "../../runs/files.ts";
import { oneLine, signed } from "../text/markdown.ts";
import { type Judge, type Judgement, judge } from "./judging.ts";
import type { RatedWord } from "./rated-words.ts";

/** A word about which the model learned the opposite of its rating; offsets in UTF-16 units of the document. */
export interface Disagreement extends ProblemData {
  readonly mode: ReadingMode;
  readonly rating: number;
  readonly judgement: Judgement;
}

/**
 * The flagged words among a passage's rated words. With `familiarOnly`, readings of the probe leave out words that are
 * unfamiliar to it.
 */
export function disagreementsIn(
  passage: Passage,
  words: readonly RatedWord[],
  { familiarOnly, ...by }: Judge & { readonly familiarOnly: boolean },
): Disagreement[] {
  const name = passageName(passage);
  return words.flatMap(({ start, end, rating, value, isUnfamiliar }): Disagreement[] => {
    if (familiarOnly && isUnfamiliar) return [];
    const word = passage.text.slice(start, end);
    const judgement = judge({ word, rating, value }, by);
    if (!judgement.isFlagged) return [];
    const place = { start: toDocument(passage, start), end: endInDocument(passage, end) };
    return [{ ...place, word, passage: name, mode: by.mode, rating, judgement }];
  });
}

/** Whether a person chose to ignore this problem. */
export function isIgnored({ word, passage }: Disagreement, uri: string, ignored: readonly IgnoredWord[]): boolean {
  const key = word.toLowerCase();
  return ignored.some(
    (entry) => entry.uri === uri && entry.word.toLowerCase() === key && (entry.passage ?? passage) === passage,
  );
}

export function problemMessage({ word, mode, rating, judgement }: Disagreement): string {
  const shown = `“${isolated(oneLine(word.trim(), 60))}”`;
  const meant = `${rating > 0 ? "good" : "bad"} (${signed(rating)})`;
  const { value, here } = judgement;
  switch (mode) {
    case "learned":
      return `${shown} is rated ${meant}, but ${learnedWords(judgement)}.`;
    case "fitted":
      return `${shown} is rated ${meant}, but its features are such as tuning made ${value > 0 ? "likelier" : "less likely"} (${signed(here)} nats, fitted).`;
    case "implicit":
      return `${shown} is read as ${value > 0 ? "good" : "bad"} (implicit reward ${signed(value)}); the feedback says it is ${meant}.`;
    case "tunedMinusBase":
      return `Tuning made the probe read ${shown} as ${value > 0 ? "better" : "worse"} (by ${signed(value)}); the feedback says it is ${meant}.`;
  }
}

/**
 * `tuning made it less likely than rated words are on the mean: −0.41 nats over 132 places of the run's texts (here
 * +0.20)`.
 */
export function learnedWords({ level, places, value, isCentred, here }: Judgement): string {
  const much = `tuning made it ${value > 0 ? "likelier" : "less likely"}`;
  const than = isCentred ? " than rated words on the mean" : "";
  const own = isCentred ? ` (learned reward here ${signed(here)} nats)` : "";
  return level === "word"
    ? `${much}${than}: ${signed(value)} nats over ${places} places of the run's texts${own}`
    : `${much} here${than}: ${signed(value)} nats${own}`;
}

export const problemSeverity: Severity = DiagnosticSeverity.Information;
export const disagreementCode: ProblemCode = "reward-disagreement";

/** Identifies a passage by its text, so that an edit makes it another. */
function passageName({ text }: Passage): string {
  return sha256Of(text).slice(0, 16);
}
