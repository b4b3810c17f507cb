/**
 * Words to put in the place of another. Chosen by spelling, tokens and frequency, because no parser is at hand; every choice
 * is made by the seed alone.
 */
import type { Random } from "../../common/random.ts";
import { endingOf, inCase, type LetterCase, letterCaseOf, startsWithVowel } from "./word-shape.ts";

/** The place of a word in a text. */
export interface Slot {
  /** The word as it is written there. */
  readonly written: string;
  /** The text before it. */
  readonly before: string;
}

export interface Replacement {
  /** Lower-cased. */
  readonly word: string;
  /** In the letter case of the word that it replaces. */
  readonly written: string;
}

export interface PoolOptions {
  readonly words: Iterable<string>;
  /** How often a word occurs in the texts at hand; words of frequency 0 are no candidates. */
  readonly frequencyOf: (word: string) => number;
  /** How many tokens the model makes of a text. */
  readonly tokensOf: (text: string) => number;
  readonly random: Random;
  /** How often a word may be a target; `use` counts. */
  readonly maxUses: number;
}

interface Candidate {
  readonly word: string;
  readonly ending: string;
  readonly startsWithVowel: boolean;
  readonly logFrequency: number;
  uses: number;
}

/** Candidates of one kind (positive, neutral or negative words), and how often each was used. */
export class ReplacementPool {
  readonly #candidates: readonly Candidate[];
  readonly #options: PoolOptions;
  readonly #byWord: ReadonlyMap<string, Candidate>;
  /** Tokens of every candidate, by letter case and by what stands before. */
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

  /** Counts a word as used once more. */
  use(word: string): void {
    const candidate = this.#byWord.get(word);
    if (candidate !== undefined) candidate.uses += 1;
  }

  /**
   * A random one of the eight cheapest candidates, where the cost is
   *
   *     8 [tokens differ] + 4 [ending differs] + 2 [disagrees with "a" or "an"] + |log₂ frequency ratio| + log₂(1 + uses)
   *
   * Undefined when every candidate has been used as often as it may.
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
