import { BPE } from "@huggingface/tokenizers";
import { byteLevelSpelling, type TokenizerFamily, vocabularyBytes } from "./bytes.ts";
import { TokenizerDriftError } from "./errors.ts";
import { splitWords, type WordRule } from "./words.ts";

/** What `@huggingface/tokenizers` takes to build a BPE model: the `model` object of tokenizer.json. */
export interface BpeModel {
  readonly type: "BPE";
  readonly unk_token?: string | null | undefined;
  readonly byte_fallback: boolean;
  readonly ignore_merges: false;
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly string[] | readonly (readonly [string, string])[];
}

// Types of the part of the library that is used. Its own types import files without extensions, which Node's module
// resolution does not find, so they resolve to nothing.
declare module "@huggingface/tokenizers" {
  export class BPE {
    constructor(model: BpeModel);
    readonly merges: readonly (readonly [string, string])[];
    readonly tokens_to_ids: ReadonlyMap<string, number>;
    /** Longest token, in UTF-16 units, that goes into the library's own cache. */
    max_length_to_cache: number;
    /** The vocabulary entries of pre-tokenised words. */
    encode(words: readonly string[]): string[];
  }
}

/**
 * The tokens of a piece of normalised text: ids, and per id the UTF-16 range (in the piece) of the characters it
 * touches.
 */
export interface EncodedPiece {
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** How a tokenizer splits text, and merges within pieces. */
export interface PieceRules {
  readonly family: TokenizerFamily;
  readonly words: WordRule;
  /** Whether a whole piece that is in the vocabulary is its token, whatever the merges make of it. */
  readonly ignoreMerges: boolean;
  readonly model: BpeModel;
}

/**
 * Splits normalised text into pieces that no merge crosses, and encodes pieces with the library's BPE. It caches
 * pieces, so ordinary text costs one look-up per word.
 */
export class PieceEncoder {
  readonly #family: TokenizerFamily;
  readonly #bpe: BPE;
  readonly #joinable: ReadonlySet<number>;
  readonly #words: WordRule;
  readonly #ignoreMerges: boolean;
  readonly #cache = new Map<string, EncodedPiece>();

  constructor({ family, words, ignoreMerges, model }: PieceRules) {
    this.#family = family;
    this.#words = words;
    this.#ignoreMerges = ignoreMerges;
    this.#bpe = new BPE(model);
    // The library's own cache is slow on repeated hits (it deletes and sets again); the cache here replaces it.
    this.#bpe.max_length_to_cache = 0;
    this.#joinable = joinablePairs(this.#bpe.merges);
  }

  /** Calls `visit` with the range of each piece; pieces partition the text. */
  split(text: string, visit: (start: number, end: number) => void): void {
    if (this.#family === "byte-level") splitWords(text, visit, this.#words);
    else this.#splitUnjoinable(text, visit);
  }

  /** Throws `TokenizerDriftError` where the tokens do not spell the piece. */
  encode(piece: string): EncodedPiece {
    const cached = this.#cache.get(piece);
    if (cached) return cached;
    const bytes = utf8.encode(piece);
    const encoded = this.#place(piece, bytes, this.#merge(bytes, piece));
    if (piece.length <= LONGEST_CACHED) {
      if (this.#cache.size >= CACHE_CAPACITY) this.#cache.clear();
      // Copy the key: a slice would keep the whole text that it came from in memory.
      this.#cache.set(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), encoded);
    }
    return encoded;
  }

  /** The vocabulary entries of a piece. */
  #merge(bytes: Uint8Array, piece: string): string[] {
    if (this.#family === "byte-fallback") return this.#bpe.encode([piece]);
    const spelling = byteLevelSpelling(bytes);
    if (this.#ignoreMerges && this.#bpe.tokens_to_ids.has(spelling)) return [spelling];
    if (spelling.length <= LONGEST_CACHED) return this.#bpe.encode([spelling]);
    const parts: string[] = [];
    this.#splitUnjoinable(spelling, (start, end) => parts.push(spelling.slice(start, end)));
    return this.#bpe.encode(parts);
  }

  /** Checks byte by byte that the entries spell the piece, and gives each the characters that its bytes touch. */
  #place(piece: string, bytes: Uint8Array, entries: readonly string[]): EncodedPiece {
    const unitOf = unitOfEachByte(piece, bytes.length);
    const encoded = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
    let at = 0;
    for (const entry of entries) {
      const id = this.#bpe.tokens_to_ids.get(entry);
      const spelt = vocabularyBytes(this.#family, entry);
      const next = at + spelt.length;
      if (id === undefined || !startsWithAt(bytes, at, spelt)) throw drift(piece, entry);
      encoded.ids.push(id);
      encoded.starts.push(unitOf(at));
      encoded.ends.push(endOfCharacter(piece, unitOf(next - 1)));
      at = next;
    }
    if (at !== bytes.length) throw drift(piece, "nothing");
    return encoded;
  }

  /**
   * Splits between two units wherever no merge joins them: a token holds two neighbouring characters only if some merge
   * has the one at the end of its left side and the other at the start of its right side. So splitting changes no id.
   */
  #splitUnjoinable(text: string, visit: (start: number, end: number) => void): void {
    let start = 0;
    for (let at = 1; at < text.length; at++) {
      const left = text.charCodeAt(at - 1);
      const right = text.charCodeAt(at);
      if (this.#joinable.has(pairKey(left, right)) || isLowSurrogate(right)) continue;
      visit(start, at);
      start = at;
    }
    if (start < text.length) visit(start, text.length);
  }
}

const LONGEST_CACHED = 64;
const CACHE_CAPACITY = 50_000;
const utf8 = new TextEncoder();

/** Keys of the UTF-16 unit pairs that some merge joins. */
function joinablePairs(merges: readonly (readonly [string, string])[]): Set<number> {
  const pairs = new Set<number>();
  for (const [left, right] of merges) pairs.add(pairKey(left.charCodeAt(left.length - 1), right.charCodeAt(0)));
  return pairs;
}

function pairKey(left: number, right: number): number {
  return left * 0x10000 + right;
}

/** Maps a byte offset to the UTF-16 unit at which the character that holds the byte starts. */
function unitOfEachByte(piece: string, byteLength: number): (byte: number) => number {
  if (byteLength === piece.length) return (byte) => byte;
  const units = new Int32Array(byteLength);
  let byte = 0;
  let unit = 0;
  for (const character of piece) {
    const end = byte + utf8Length(character.codePointAt(0) ?? 0);
    units.fill(unit, byte, end);
    byte = end;
    unit += character.length;
  }
  return (at) => units[at] ?? 0;
}

function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

function endOfCharacter(piece: string, unit: number): number {
  return isLowSurrogate(piece.charCodeAt(unit + 1)) ? unit + 2 : unit + 1;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function startsWithAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  return at + expected.length <= bytes.length && expected.every((byte, i) => bytes[at + i] === byte);
}

function drift(piece: string, entry: string): TokenizerDriftError {
  return new TokenizerDriftError(`${JSON.stringify(piece.slice(0, 40))} gives ${JSON.stringify(entry)}`);
}
