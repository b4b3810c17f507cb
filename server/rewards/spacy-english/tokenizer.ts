/**
 * spaCy's English rule tokenizer, equal to `spacy.blank("en")` of spaCy 3.7 and 3.8 token by token, with exact places.
 * Our own code after the algorithm of `spacy/tokenizer.pyx` (MIT, Copyright ExplosionAI GmbH and others; see
 * THIRD-PARTY.md; described at https://spacy.io/usage/linguistic-features#how-tokenizer-works).
 *
 * Three passes: cut the text into runs of space and non-space characters ("chunks"); split each chunk by exceptions and
 * affix rules; join neighbours that together spell an exception which the rules had cut (":" ")" into ":)").
 */
import { once } from "../../common/once.ts";
import { englishExceptions } from "./exceptions.ts";
import { hasAffix, infixesOf, isUrl, prefixLength, suffixLength } from "./rules.ts";

/** A token and its position: `text.slice(start, end)` is the token, in UTF-16 units. */
export interface Token {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The tokens of `text` in order. A single space after a token belongs to no token; all other whitespace (Python's
 * `str.isspace`) is a token of its own, so the gaps between tokens are exactly the single spaces dropped.
 */
export function tokenizeEnglish(text: string): Token[] {
  const tokens: Token[] = [];
  for (const { start, end } of chunksOf(text)) {
    let at = start;
    for (const piece of piecesOf(text.slice(start, end))) {
      tokens.push({ text: piece, start: at, end: at + piece.length });
      at += piece.length;
    }
  }
  return joinExceptions(text, tokens);
}

/** Runs of space and of non-space characters. A ' ' that begins a run of spaces is dropped, unless it opens the text. */
function chunksOf(text: string): { start: number; end: number }[] {
  const chunks: { start: number; end: number }[] = [];
  let start = 0;
  let inSpace = isPythonSpace(text.charCodeAt(0));
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isPythonSpace(code) === inSpace) continue;
    if (start < at) chunks.push({ start, end: at });
    start = code === 0x20 ? at + 1 : at;
    inSpace = !inSpace;
  }
  if (start < text.length) chunks.push({ start, end: text.length });
  return chunks;
}

/** Python's `str.isspace`: unlike JavaScript's `\s` it has U+001C to U+001F and U+0085 and lacks U+FEFF. */
function isPythonSpace(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x1f);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  if (code >= 0x2000 && code <= 0x200a) return true;
  return code === 0x1680 || code === 0x2028 || code === 0x2029 || code === 0x202f || code === 0x205f || code === 0x3000;
}

interface Exceptions {
  readonly pieces: ReadonlyMap<string, readonly string[]>;
  /** Length of the longest. */
  readonly longest: number;
  /** The sequences of tokens that the rules make of the exceptions they split. */
  readonly phrases: Phrase;
}

/** Made for the first text, as it takes longer than to read one. */
const exceptions = once((): Exceptions => {
  const pieces = englishExceptions();
  return {
    pieces,
    longest: Math.max(...Array.from(pieces.keys(), (key) => key.length)),
    phrases: cutExceptions([...pieces.keys()]),
  };
});

/** A cache of short chunks: their tokens do not depend on their surroundings, and reviews repeat their words. */
const knownChunks = new Map<string, readonly string[]>();
const knownChunksLimit = 16_384;
/** V8 copies a slice this short; a longer one would keep the whole text it came from alive. */
const knownChunkLength = 12;

function piecesOf(chunk: string): readonly string[] {
  if (chunk.length > knownChunkLength) return split(chunk, exceptionAt);
  const known = knownChunks.get(chunk);
  if (known !== undefined) return known;
  if (knownChunks.size >= knownChunksLimit) knownChunks.clear();
  const pieces = split(chunk, exceptionAt);
  knownChunks.set(chunk, pieces);
  return pieces;
}

type FindException = (text: string) => readonly string[] | undefined;

/** Checks the length first, so that a long chunk is not hashed at every split. */
function exceptionAt(text: string): readonly string[] | undefined {
  const { longest, pieces } = exceptions();
  return text.length > longest ? undefined : pieces.get(text);
}

/**
 * Strips prefixes and suffixes until nothing comes off or an exception is left, then splits what is left. spaCy looks
 * for the suffix after the prefix, but for an exception with the prefix still on; both matter.
 */
function split(chunk: string, find: FindException): string[] {
  const prefixes: string[] = [];
  const suffixes: string[] = [];
  let core = chunk;
  while (core !== "" && find(core) === undefined) {
    const prefix = prefixLength(core);
    const withoutPrefix = core.slice(prefix);
    const endsInException = prefix > 0 && find(withoutPrefix) !== undefined;
    const suffix = endsInException ? 0 : suffixLength(withoutPrefix);
    if (prefix === 0 && suffix === 0) break;
    const withoutSuffix = core.slice(0, core.length - suffix);
    const startsInException = suffix > 0 && find(withoutSuffix) !== undefined;
    if (suffix > 0) suffixes.push(core.slice(core.length - suffix));
    if (prefix > 0 && !startsInException) prefixes.push(core.slice(0, prefix));
    core = startsInException ? withoutSuffix : core.slice(prefix, core.length - suffix);
  }
  return [...prefixes, ...splitCore(core, find), ...suffixes.reverse()];
}

function splitCore(core: string, find: FindException): readonly string[] {
  if (core === "") return [];
  const exception = find(core);
  if (exception !== undefined) return exception;
  if (isUrl(core)) return [core];
  const pieces: string[] = [];
  let at = 0;
  for (const { start, end } of infixesOf(core)) {
    if (start > at) pieces.push(core.slice(at, start));
    pieces.push(core.slice(start, end));
    at = end;
  }
  if (at < core.length) pieces.push(core.slice(at));
  return pieces;
}

/** A node of the tree of token sequences that the rules make of the exceptions they split. */
interface Phrase {
  readonly next: Map<string, Phrase>;
  isWhole: boolean;
}

function cutExceptions(all: readonly string[]): Phrase {
  const root: Phrase = { next: new Map(), isWhole: false };
  for (const exception of all) {
    if (!hasAffix(exception)) continue;
    let node = root;
    for (const piece of split(exception, () => undefined)) {
      const next = node.next.get(piece) ?? { next: new Map(), isWhole: false };
      node.next.set(piece, next);
      node = next;
    }
    node.isWhole = true;
  }
  return root;
}

/** Puts each sequence of tokens that spells an exception back into the exception's pieces. */
function joinExceptions(text: string, tokens: Token[]): Token[] {
  const spans = disjoint(phrasesIn(tokens));
  if (spans.length === 0) return tokens;
  const joined: Token[] = [];
  let at = 0;
  for (const { first, last } of spans) {
    for (; at < first; at++) pushIfThere(joined, tokens[at]);
    const start = tokens[first]?.start ?? 0;
    const end = tokens[last]?.end ?? 0;
    const pieces = exceptionAt(text.slice(start, end));
    // The tokens match but are apart ("Mr ."): no exception.
    if (pieces === undefined) continue;
    let pieceStart = start;
    for (const piece of pieces) {
      joined.push({ text: piece, start: pieceStart, end: pieceStart + piece.length });
      pieceStart += piece.length;
    }
    at = last + 1;
  }
  for (; at < tokens.length; at++) pushIfThere(joined, tokens[at]);
  return joined;
}

function pushIfThere<T>(items: T[], item: T | undefined): void {
  if (item !== undefined) items.push(item);
}

/** Token indices, both inclusive. */
interface TokenSpan {
  readonly first: number;
  readonly last: number;
}

/** Every run of tokens that equals a split exception, ignoring what is between them. */
function phrasesIn(tokens: readonly Token[]): TokenSpan[] {
  const found: TokenSpan[] = [];
  const { phrases } = exceptions();
  for (let first = 0; first < tokens.length; first++) {
    let node: Phrase | undefined = phrases;
    for (let last = first; last < tokens.length; last++) {
      node = node.next.get(tokens[last]?.text ?? "");
      if (node === undefined) break;
      if (node.isWhole) found.push({ first, last });
    }
  }
  return found;
}

/** Longest first, then leftmost; as in spaCy, a rejected span still blocks later ones that overlap it. */
function disjoint(spans: readonly TokenSpan[]): TokenSpan[] {
  if (spans.length < 2) return [...spans];
  const byLength = spans.toSorted((a, b) => b.last - b.first - (a.last - a.first) || a.first - b.first);
  const taken = new Set<number>();
  const kept = byLength.filter(({ first, last }) => {
    const isFree = !taken.has(first) && !taken.has(last);
    for (let index = first; index <= last; index++) taken.add(index);
    return isFree;
  });
  return kept.sort((a, b) => a.first - b.first);
}
