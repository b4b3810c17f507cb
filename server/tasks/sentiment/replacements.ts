/**
 * Chooses replacements of words. By spelling, tokens and frequency, because no parser is available; deterministic
 * for a given seed.
 */
import type { Random } from "../../common/random.ts";
import { endingOf, inCase, type LetterCase, letterCaseOf, startsWithVowel } from "./word-shape.ts";

/** A word in its context, to be replaced. */
export interface Slot {
  /** The word in the letter case of the text. */
  readonly written: string;
  /** The text before it. */
  readonly before: string;
}

export interface Replacement {
  /** The word in lower case. */
  readonly word: string;
  /** In the letter case of the word that it replaces. */
  readonly written: string;
}

export interface PoolOptions {
  readonly words: Iterable<string>;
  /** Frequency of a word in the given texts; words of frequency 0 are no candidates. */
  readonly frequencyOf: (word: string) => number;
  /** Number of the model's tokens in a text. */
  readonly tokensOf: (text: string) => number;
  readonly random: Random;
  /** Maximum number of times that a word may be a target; `use` counts. */
  readonly maxUses: number;
}

interface Candidate {
  readonly word: string;
  readonly ending: string;
  readonly startsWithVowel: boolean;
  readonly logFrequency: number;
  uses: number;
}

/** Candidates of one kind (positive, neutral or negative words), with the number of uses of each. */
export class ReplacementPool {
  readonly #candidates: readonly Candidate[];
  readonly #options: PoolOptions;
  readonly #byWord: ReadonlyMap<string, Candidate>;
  /** Number of tokens of every candidate, by letter case and by the preceding text. */
  readonly #tokens = new Map<string, readonly number[]>();

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#candidates = Array.from(options.words, (word) => ({
      word,
      ending: endingOf(word),
      startsWithVowel: startsWithVowel(word),
      logFrequency: Math.log2(options.frequencyOf(word)),
      uses: 0,
    })).filter(({ logFrequency }) => Number.isFinite(logFrequency));
    this.#byWord = new Map(this.#candidates.map((candidate) => [candidate.word, candidate]));
  }

  has(word: string): boolean {
    return this.#byWord.has(word);
  }

  hasRoom(word: string): boolean {
    return (this.#byWord.get(word)?.uses ?? 0) < this.#options.maxUses;
  }

  /** Counts one more use of a word. */
  use(word: string): void {
    const candidate = this.#byWord.get(word);
    if (candidate !== undefined) candidate.uses += 1;
  }

  /**
   * A random one of the eight cheapest candidates, where the cost is
   *
   *     8 [tokens differ] + 4 [ending differs] + 2 [disagrees with "a" or "an"] + |log₂ frequency ratio| + log₂(1 + uses)
   *
   * Undefined when every candidate has reached its maximum of uses.
   */
  choose({ written, before }: Slot): Replacement | undefined {
    const original = written.toLowerCase();
    const letterCase = letterCaseOf(written);
    const lead = before.endsWith(" ") ? " " : "";
    const article = /(?:^|\s)(an?) $/iu.exec(before)?.[1]?.toLowerCase();
    const tokens = this.#options.tokensOf(lead + written);
    const tokensOfCandidates = this.#tokensInCase(letterCase, lead);
    const logFrequency = Math.log2(Math.max(1, this.#options.frequencyOf(original)));
    const ending = endingOf(original);
    const costOf = (candidate: Candidate, index: number): number => {
      if (candidate.uses >= this.#options.maxUses) return Number.POSITIVE_INFINITY;
      const disagrees = article !== undefined && candidate.startsWithVowel !== (article === "an");
      return (
        (tokensOfCandidates[index] === tokens ? 0 : 8) +
        (candidate.ending === ending ? 0 : 4) +
        (disagrees ? 2 : 0) +
        Math.abs(candidate.logFrequency - logFrequency) +
        Math.log2(1 + candidate.uses)
      );
    };
    const cheapest = lowest(this.#candidates, costOf, CHOICES);
    const chosen = cheapest[cheapest.length > 0 ? this.#options.random.integer(cheapest.length) : 0];
    return chosen === undefined ? undefined : { word: chosen.word, written: inCase(chosen.word, letterCase) };
  }

  #tokensInCase(letterCase: LetterCase, lead: string): readonly number[] {
    const key = `${letterCase}${lead}`;
    const known = this.#tokens.get(key);
    if (known !== undefined) return known;
    const tokens = this.#candidates.map(({ word }) => this.#options.tokensOf(lead + inCase(word, letterCase)));
    this.#tokens.set(key, tokens);
    return tokens;
  }
}

const CHOICES = 8;

/** The `count` items of lowest finite cost, cheapest first, ties in their order. */
function lowest<T>(items: readonly T[], costOf: (item: T, index: number) => number, count: number): T[] {
  const kept: { item: T; cost: number }[] = [];
  let worst = Number.POSITIVE_INFINITY;
  let index = 0;
  for (const item of items) {
    const cost = costOf(item, index);
    index += 1;
    if (cost >= worst) continue;
    const at = kept.findIndex((other) => other.cost > cost);
    kept.splice(at < 0 ? kept.length : at, 0, { item, cost });
    if (kept.length > count) kept.pop();
    if (kept.length === count) worst = kept.at(-1)?.cost ?? worst;
  }
  return kept.map(({ item }) => item);
}
