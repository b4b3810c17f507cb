/** Turns tokens with values into stretches of one colour. Independent of VS Code. */
import type { LensMode, ReadPassage } from "../../server/protocol/lens.ts";
import { type Step, stepFor } from "./scale.ts";

/** A stretch of text, in UTF-16 units. */
export interface Interval {
  readonly start: number;
  readonly end: number;
}

export interface Coloured extends Interval {
  readonly step: Step;
}

export interface Scale {
  readonly mode: LensMode["kind"];
  readonly limit: number;
  /** Whether to fade tokens that are unfamiliar to the probe. */
  readonly fades: boolean;
}

/**
 * Computes the stretches to colour, in document order. Joins neighbours of the same step, leaves out white space at the
 * ends, and splits at line ends.
 *
 * @param part only tokens within this interval count
 * @param textOf the document's text between two offsets
 * @param most maximum number of stretches, because editors draw very many decorations slowly
 */
export function colouredStretches(
  passages: readonly ReadPassage[],
  scale: Scale,
  part: Interval,
  textOf: (start: number, end: number) => string,
  most: number,
): Coloured[] {
  const found: Coloured[] = [];
  for (const { start, end: passageEnd, tokens } of passages) {
    const base = Math.max(start, part.start);
    const end = Math.min(passageEnd, part.end);
    const text = end > base ? textOf(base, end) : "";
    const faded = new Set(scale.fades ? tokens.unfamiliar : []);
    let open: Coloured | undefined;
    for (const [index, value] of tokens.values.entries()) {
      const [tokenStart = 0, tokenEnd = 0] = [tokens.starts[index], tokens.ends[index]];
      const token = tokenStart < base || tokenEnd > end ? undefined : trimmed(text, base, tokenStart, tokenEnd);
      if (token === undefined) continue;
      const step = stepFor(value, scale.limit, scale.mode, faded.has(index));
      if (open !== undefined && step === open.step && isGapWithinLine(text, open.end - base, token.start - base)) {
        open = { ...open, end: token.end };
        continue;
      }
      if (open !== undefined) found.push(open);
      open = step === undefined ? undefined : { ...token, step };
      if (found.length >= most) return found;
    }
    if (open !== undefined) found.push(open);
  }
  return found.slice(0, most);
}

/** A token without the white space with which most tokenizers begin it; undefined if nothing is left. */
function trimmed(text: string, base: number, start: number, end: number): Interval | undefined {
  const token = text.slice(start - base, end - base);
  const leading = token.length - token.trimStart().length;
  const length = token.trim().length;
  return length === 0 ? undefined : { start: start + leading, end: start + leading + length };
}

function isGapWithinLine(text: string, start: number, end: number): boolean {
  const gap = text.slice(start, end);
  return gap.trim() === "" && !/[\r\n]/.test(gap);
}
