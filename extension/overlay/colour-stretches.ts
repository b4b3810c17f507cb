/** From tokens with values to stretches of one colour. Knows no editor. */
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
  /** Whether tokens that are unfamiliar to the probe are faded. */
  readonly fades: boolean;
}

/**
 * The stretches to colour, in document order: neighbours of one step are joined, white space at the ends is left out, and no stretch crosses a
 * line's end.
 *
 * @param part only tokens within it are looked at
 * @param textOf the document's text between two offsets
 * @param most where to stop, because editors draw slowly what has very many decorations
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

/** A token without the white space that most tokenizers put at its start; undefined when nothing is left. */
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
