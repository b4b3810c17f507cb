/**
 * Draws the words to plant by a seed, so that every set has frequent and rare, positive and negative, weakly and
 * strongly rated ones.
 */

import { LfpError } from "../common/errors.ts";
import { byCodeUnit } from "../common/order.ts";
import type { Random } from "../common/random.ts";

/** A word that may be planted. */
export interface Candidate {
  readonly word: string;
  readonly rating: number;
  /** Number of places in the texts that are read. */
  readonly places: number;
}

/** The texts contain too few words to plant some and keep others for comparison. */
export class TooFewWordsError extends LfpError {
  readonly code = "input";

  constructor(words: number, wanted: number, minPlaces: number) {
    super(
      `${words} rated words have ${minPlaces} places or more in the texts; ${wanted} are to be planted in a tuning, and at least as many must remain to ` +
        "compare with. Plant fewer words (--words-per-set), read more texts (learned.texts), or ask for fewer places (learned.minPlaces, --met).",
    );
  }
}

/**
 * Draws set number `index` (from 0) of `size` words. Deals candidates from strata by sign, frequency and size of
 * rating in proportion to their sizes; sets are disjoint until all words are dealt. A set depends on candidates,
 * size and `random` alone, not on the number of sets. Throws `TooFewWordsError`.
 */
export function plantedSet(
  candidates: readonly Candidate[],
  { index, size, minPlaces }: { readonly index: number; readonly size: number; readonly minPlaces: number },
  random: Random,
): Candidate[] {
  if (candidates.length < 2 * size) throw new TooFewWordsError(candidates.length, size, minPlaces);
  const setsARound = Math.floor(candidates.length / size);
  const round = Math.floor(index / setsARound);
  const dealt = deal(strataOf(candidates), random.fork(`round ${round}`));
  const start = (index % setsARound) * size;
  return dealt.slice(start, start + size);
}

/** Interleaves the candidates of all strata, so that any stretch has about each stratum's share. */
function deal(strata: readonly (readonly Candidate[])[], random: Random): Candidate[] {
  const shuffled = strata.map((stratum, at) => random.fork(`stratum ${at}`).shuffled(stratum));
  const start = strata.map((_, at) => random.fork(`start ${at}`).uniform());
  // Systematic sampling: the i-th of a stratum's n words is placed at (i + u) / n of the whole, with u drawn once a
  // stratum.
  return shuffled
    .flatMap((stratum, at) =>
      stratum.map((candidate, i) => ({ candidate, at: (i + (start[at] ?? 0)) / stratum.length })),
    )
    .sort((a, b) => a.at - b.at)
    .map(({ candidate }) => candidate);
}

/** Splits by sign, then into a rarer and a more frequent half, then each of these into a weaker and a stronger half. */
function strataOf(candidates: readonly Candidate[]): Candidate[][] {
  const byName = candidates.toSorted((a, b) => byCodeUnit(a.word, b.word));
  return [1, -1].flatMap((sign) => {
    const own = byName.filter(({ rating }) => Math.sign(rating) === sign);
    return halves(own, ({ places }) => places).flatMap((half) => halves(half, ({ rating }) => Math.abs(rating)));
  });
}

function halves(words: readonly Candidate[], size: (word: Candidate) => number): [Candidate[], Candidate[]] {
  const sorted = words.toSorted((a, b) => size(a) - size(b));
  const middle = Math.ceil(sorted.length / 2);
  return [sorted.slice(0, middle), sorted.slice(middle)];
}
