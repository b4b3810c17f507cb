import { Random } from "../../server/common/random.ts";
import type { TripleFeatures } from "../../server/probe/features.ts";
import type { RatingRange } from "../../server/rewards/word-ratings.ts";
import { rowMatrix } from "../../server/statistics/linear-algebra.ts";
import type { Triple } from "../../server/tasks/task.ts";

export interface Planted {
  readonly triples: Triple[];
  readonly ratings: { readonly values: ReadonlyMap<string, number>; readonly range: RatingRange };
  readonly features: TripleFeatures;
}

export interface PlantedOptions {
  readonly triples: number;
  readonly words: number;
  readonly columns: number;
  /** Along the planted direction a word stands at this times its value. */
  readonly signal: number;
  /** Deviation of what each word has of its own, the same in all its triples. */
  readonly identity: number;
  /** Deviation of what each row has of its own. */
  readonly noise: number;
  readonly seed: number;
}

/** Triples of made-up words whose features hold a linear reward by construction: value times one direction, plus noise. */
export function plantedTriples(options: PlantedOptions): Planted {
  const { triples: n, words, columns, signal, identity, noise, seed } = options;
  const random = Random.fromSeed(seed);
  const normals = (deviation: number): number[] => Array.from({ length: columns }, () => deviation * random.normal());
  const ratingOf = (index: number, sign: number): number => Math.round(sign * (16 + ((index * 7) % 19))) / 10;
  const names = (stem: string, sign: number): [string, number][] =>
    Array.from({ length: words }, (_, index) => [`${stem}${index}`, ratingOf(index, sign)]);
  const [positive, negative] = [names("good", 1), names("bad", -1)];
  const wordValues = new Map([...positive, ...negative]);
  const identities = new Map([...wordValues.keys()].map((word) => [word, normals(identity)]));
  const pick = (list: [string, number][]): string => list[random.integer(words)]?.[0] ?? "";
  const pairs = Array.from({ length: n }, () => [pick(positive), pick(negative)] as const);
  const side = (word: string) => ({ text: word, word, start: 0, end: word.length });
  const triples = pairs.map(([p, q], index): Triple => {
    return {
      id: `t${index}`,
      source: "planted",
      original: "positive",
      positive: side(p),
      negative: side(q),
      neutral: side("film"),
    };
  });
  const rowOf = (word: string | undefined): number[] => {
    const row = normals(noise);
    row[0] = (row[0] ?? 0) + signal * (wordValues.get(word ?? "") ?? 0);
    return row.map((value, j) => value + (identities.get(word ?? "")?.[j] ?? 0));
  };
  const rows = [...pairs.map(([p]) => p), ...pairs.map(([, q]) => q), ...pairs.map(() => undefined)].flatMap(rowOf);
  const layers = [{ layer: 0, start: 0, end: columns }];
  return {
    triples,
    ratings: { values: wordValues, range: { low: -3.9, high: 3.4 } },
    features: { layers, triples: n, rows: rowMatrix(Float32Array.from(rows), 3 * n, columns) },
  };
}
