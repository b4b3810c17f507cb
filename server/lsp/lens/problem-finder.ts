import { DiagnosticSeverity, type DiagnosticSeverity as Severity } from "vscode-languageserver/node";
import { isUnfamiliar } from "../../lens/familiarity.ts";
import { type Passage, toDocument } from "../../lens/passages.ts";
import type { Reading } from "../../lens/reading.ts";
import { sha256Of } from "../../pipeline/files.ts";
import type { IgnoredWord, ProblemCode, ProblemData } from "../../protocol/problems.ts";
import { oneLine, signed } from "../text/markdown.ts";

/** A word whose implicit and true reward differ in sign, in UTF-16 units of the document. */
export interface Disagreement extends ProblemData {
  readonly implicit: number;
  readonly trueReward: number;
}

/**
 * Words of a passage on which probe and feedback disagree, both at least `threshold` from zero. A word's implicit reward is the mean over its tokens;
 * so is its familiarity, which is not smaller than that of the mean of their features, and with `familiarOnly` an unfamiliar one is left out.
 */
export function disagreementsIn(
  passage: Passage,
  reading: Reading,
  { threshold, familiarOnly }: { readonly threshold: number; readonly familiarOnly: boolean },
): Disagreement[] {
  const name = passageName(passage);
  return wordsOf(passage.text, reading).flatMap(({ start, end, implicit, familiarity, trueReward }): Disagreement[] => {
    const differ = Math.sign(implicit) * Math.sign(trueReward) === -1;
    if (!differ || (familiarOnly && isUnfamiliar(familiarity))) return [];
    if (Math.abs(implicit) < threshold || Math.abs(trueReward) < threshold) return [];
    const word = passage.text.slice(start, end);
    const place = { start: toDocument(passage, start), end: toDocument(passage, end) };
    return [{ ...place, word, passage: name, implicit, trueReward }];
  });
}

/** Whether a person said that this is no problem. */
export function isIgnored({ word, passage }: Disagreement, uri: string, ignored: readonly IgnoredWord[]): boolean {
  const key = word.toLowerCase();
  return ignored.some(
    (entry) => entry.uri === uri && entry.word.toLowerCase() === key && (entry.passage ?? passage) === passage,
  );
}

export function problemMessage({ word, implicit, trueReward }: Disagreement): string {
  const [learned, meant] = implicit > 0 ? ["good", "bad"] : ["bad", "good"];
  return (
    `“${oneLine(word.trim(), 60)}” is read as ${learned} (implicit reward ${signed(implicit)}); ` +
    `the feedback says it is ${meant} (${signed(trueReward)}).`
  );
}

export const problemSeverity: Severity = DiagnosticSeverity.Information;
export const disagreementCode: ProblemCode = "reward-disagreement";

/** A passage by its text: an edit makes it another. */
function passageName({ text }: Passage): string {
  return sha256Of(text).slice(0, 16);
}

interface ReadWord {
  /** UTF-16 units of the passage's text. */
  readonly start: number;
  readonly end: number;
  readonly implicit: number;
  /** 0 where it is not known. */
  readonly familiarity: number;
  readonly trueReward: number;
}

/** Rated words: tokens one after the other with the same rating, of which only the first may begin with white space. */
function wordsOf(text: string, { starts, ends, implicit, familiarity, trueReward }: Reading): ReadWord[] {
  const words: (ReadWord & { readonly tokens: number })[] = [];
  for (const [token, rating] of trueReward.entries()) {
    if (rating === null) continue;
    const [start = 0, end = 0, value = 0] = [starts[token], ends[token], implicit[token]];
    const distance = familiarity?.[token] ?? 0;
    const space = /^\s*/u.exec(text.slice(start, end))?.[0].length ?? 0;
    const last = words.at(-1);
    if (last !== undefined && last.end === start && space === 0 && last.trueReward === rating) {
      const tokens = last.tokens + 1;
      const meanWith = (mean: number, one: number): number => mean + (one - mean) / tokens;
      const means = { implicit: meanWith(last.implicit, value), familiarity: meanWith(last.familiarity, distance) };
      words[words.length - 1] = { ...last, ...means, end, tokens };
    } else {
      words.push({ start: start + space, end, implicit: value, familiarity: distance, trueReward: rating, tokens: 1 });
    }
  }
  return words;
}
