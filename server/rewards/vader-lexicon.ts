/**
 * VADER's word ratings (Hutto and Gilbert 2014; MIT): the mean of ten raters, from -4 to 4, in two editions. The npm
 * package `vader-sentiment` 1.1.3 carries the file of December 2016, which is also NLTK's (reference/method.md 1.1).
 */
import { lexicon as packaged } from "vader-sentiment/src/vader_lexicon.js";
import { invariant } from "../common/errors.ts";
import { once } from "../common/once.ts";

/** `nltk2016`: what NLTK loads, hence what the paper's code scored. `head`: the file of 2020 in VADER's repository. */
export type VaderEdition = "head" | "nltk2016";

/**
 * Key to rating, in the order of a Python dict read from the edition's file: the paper's quartiles break ties by it.
 * 7,506 keys for `head`, 7,503 for `nltk2016`; where the file repeats a key, its last rating counts. Keys keep the
 * file's case, so the 14 with a capital (":D") match no lower-cased token, as in the paper.
 */
export function vaderLexicon(edition: VaderEdition): ReadonlyMap<string, number> {
  return editions[edition]();
}

/** Changes in the file of 2020. */
const changesIn2020: ReadonlyMap<string, number> = new Map([
  ["heart", 3.2],
  ["hearts", 3.3],
  ["flawed", -2.1],
  ["badass", 1.4],
]);

/**
 * Keys out of place in the package, each with the key it follows in the file: an object sorts its integers first, the
 * package moved repeated keys to their last line, and it lacks the additions of 2020.
 */
const follows: readonly (readonly [key: string, previous: string])[] = [
  ["86", "8-o"],
  ["1337", "10q"],
  ["143", "1337"],
  ["1432", "143"],
  ["182", "14aa41"],
  ["187", "182"],
  [":-p", ":-o"],
  ["d:", "d8"],
  ["d=", "d;"],
  ["fav", "ez"],
  ["flawed", "flattery"],
  ["heart", "hand"],
  ["hearts", "heart"],
  ["lmao", "laoj"],
  ["lol", "lmso"],
  ["muah", "mofo"],
  ["o.o", "o-|"],
  ["ok", "o;^)"],
  ["sob", "snafu"],
  ["x-d", "wth"],
  ["x-p", "x-d"],
  ["xd", "x-p"],
  ["xp", "xoxozzz"],
];

/** Each is made for its first use: most commands and the start of the language server are without. */
const editions: { readonly [K in VaderEdition]: () => ReadonlyMap<string, number> } = {
  nltk2016: once(() => inFileOrder(packagedRatings())),
  head: once(() => inFileOrder(new Map([...packagedRatings(), ...changesIn2020]))),
};

function packagedRatings(): ReadonlyMap<string, number> {
  const ratings = new Map<string, number>();
  const entries: [string, unknown][] = Object.entries(packaged ?? {});
  for (const [key, rating] of entries) {
    const isRating = typeof rating === "number" && rating >= -4 && rating <= 4;
    invariant(isRating, `vader-sentiment rates ${key} as ${rating}, expected -4 to 4`);
    ratings.set(key, rating);
  }
  invariant(ratings.size === 7503, `vader-sentiment carries ${ratings.size} ratings, expected the 7503 of 1.1.3`);
  return ratings;
}

function inFileOrder(ratings: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const moved = new Set(follows.map(([key]) => key));
  const nextOf = new Map(follows.map(([key, previous]) => [previous, key]));
  const ordered = new Map<string, number>();
  for (const first of ratings.keys()) {
    if (moved.has(first)) continue;
    for (let key: string | undefined = first; key !== undefined; key = nextOf.get(key)) {
      const rating = ratings.get(key);
      if (rating !== undefined) ordered.set(key, rating);
    }
  }
  invariant(ordered.size === ratings.size, `${ratings.size - ordered.size} VADER ratings lost their place`);
  return ordered;
}
