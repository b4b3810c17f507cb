import { CombiningRunError, TokenizerDriftError } from "./errors.ts";

/** A range of a text in UTF-16 code units, `end` excluded, as in `text.slice(start, end)`. */
export interface TokenRange {
  readonly start: number;
  readonly end: number;
}

/** Consecutive tokens, `firstToken` to `endToken` (excluded), which together stand for whole characters of the text. */
export interface TokenGroup extends TokenRange {
  readonly firstToken: number;
  readonly endToken: number;
}

/**
 * Groups tokens so that the groups' ranges partition the text: tokens that share a character (because they split its
 * bytes, or because normalisation fused it) form one group. Tokens with an empty range, such as a prepended BOS, are
 * in no group.
 */
export function characterGroups(ranges: readonly TokenRange[]): TokenGroup[] {
  const groups: TokenGroup[] = [];
  for (const [token, { start, end }] of ranges.entries()) {
    if (start === end) continue;
    const last = groups.at(-1);
    if (last && start < last.end) {
      groups[groups.length - 1] = { ...last, end: Math.max(last.end, end), endToken: token + 1 };
    } else groups.push({ start, end, firstToken: token, endToken: token + 1 });
  }
  return groups;
}

/**
 * The range without the spaces (U+0020) at its ends, for display: " world" gives "world". A range of only spaces
 * becomes empty, at its end. Same convention as `trim_offsets` of Hugging Face tokenizers.
 */
export function trimmedRange(text: string, range: TokenRange): TokenRange {
  let { start, end } = range;
  while (start < end && text.charCodeAt(start) === SPACE) start++;
  while (end > start && text.charCodeAt(end - 1) === SPACE) end--;
  return { start, end };
}

/** A normalised text that maps each of its UTF-16 units to a range of the original; without maps they are identical. */
export interface MappedText {
  readonly text: string;
  readonly starts?: Int32Array;
  readonly ends?: Int32Array;
}

/**
 * NFC of a well-formed text, mapped back. Where NFC changes something, each unit maps to the smallest range of the
 * original that normalises independently of its surroundings ("e" + U+0301 as one, a following "x" apart); within
 * changed combining sequences of more than 64 units, to the whole sequence. Throws `CombiningRunError`.
 */
export function normaliseNfc(text: string): MappedText {
  refuseEndlessMarks(text);
  const whole = text.normalize("NFC");
  if (whole === text) return { text };
  const starts = new Int32Array(whole.length);
  const ends = new Int32Array(whole.length);
  let from = 0;
  let to = 0;
  let at = 0;
  for (const [stretch] of text.matchAll(STRETCH)) {
    to += stretch.length;
    const source = text.slice(from, to);
    const target = source.normalize("NFC");
    // This stretch fuses with the next (characters newer than the pattern), so take both together.
    if (!whole.startsWith(target, at)) continue;
    for (const part of independentParts(source, target)) {
      const same = part.source === part.target;
      for (let unit = 0; unit < part.target.length; unit++) {
        starts[at + unit] = same ? from + characterStart(part.source, unit) : from;
        ends[at + unit] = from + (same ? characterEnd(part.source, unit) : part.source.length);
      }
      from += part.source.length;
      at += part.target.length;
    }
  }
  if (from !== text.length || at !== whole.length) {
    throw new TokenizerDriftError(`NFC of its parts gives ${at} UTF-16 units, NFC of the whole ${whole.length}`);
  }
  return { text: whole, starts, ends };
}

const SPACE = 0x20;

/** Characters that can fuse with the one before: marks, and medial vowels and final consonants of conjoining Hangul. */
const EXTENDING = "\\p{M}\\u1161-\\u1175\\u11A8-\\u11C2";

/**
 * ASCII runs, single characters with what extends them, stray marks. Bounded repeats bound the regex engine's stack.
 */
const STRETCH = new RegExp(
  `[\\0-\\x7F]{1,4096}(?![${EXTENDING}])|[^${EXTENDING}][${EXTENDING}]{0,1024}|[${EXTENDING}]{1,1024}`,
  "gu",
);

const LONGEST_SPLIT = 64;
const LONGEST_MARK_RUN = 1024;
const MARK_RUN = new RegExp(`\\p{M}{1,${LONGEST_MARK_RUN + 1}}`, "gu");

/**
 * Throws `CombiningRunError` for too many marks in a row. Reordering marks takes quadratic time (15 seconds for
 * 100,000), so a text could hang the program. Unicode's stream-safe format allows 30 in a row (UAX 15, section 13).
 */
/** Throws `CombiningRunError` for a text with too many combining marks in a row, which normalisation takes hours for. */
export function refuseEndlessMarks(text: string): void {
  const at = endlessMarksAt(text);
  if (at !== undefined) throw new CombiningRunError(text.slice(0, at), LONGEST_MARK_RUN);
}

/** Index of the first run of too many combining marks; undefined without one. */
export function endlessMarksAt(text: string): number | undefined {
  for (const { 0: run, index } of text.matchAll(MARK_RUN)) if (run.length > LONGEST_MARK_RUN) return index;
  return undefined;
}

/** Cuts a stretch whose NFC is `target` wherever both sides normalise on their own; greedy, so the parts add up exactly. */
function independentParts(source: string, target: string): { source: string; target: string }[] {
  if (source === target || source.length > LONGEST_SPLIT) return [{ source, target }];
  for (let cut = characterEnd(source, 0); cut < source.length; cut = characterEnd(source, cut)) {
    const left = source.slice(0, cut).normalize("NFC");
    const right = source.slice(cut).normalize("NFC");
    if (left + right === target) {
      return [{ source: source.slice(0, cut), target: left }, ...independentParts(source.slice(cut), right)];
    }
  }
  return [{ source, target }];
}

/** Where the character that holds a UTF-16 unit starts. */
function characterStart(text: string, unit: number): number {
  return isLowSurrogate(text.charCodeAt(unit)) ? unit - 1 : unit;
}

/** Where the character that holds a UTF-16 unit ends. */
function characterEnd(text: string, unit: number): number {
  return isLowSurrogate(text.charCodeAt(unit + 1)) ? unit + 2 : unit + 1;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
