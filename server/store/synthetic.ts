/** A synthetic feature store of any size whose every number is known: for the benchmark and tests of queries. */
import { Random } from "../common/random.ts";
import { type ExampleKind, StoreWriter } from "./writer.ts";

export interface SyntheticOptions {
  readonly layers: number;
  /** Features per layer, in the tuned model's small dictionary. */
  readonly features: number;
  readonly digest?: string;
  readonly seed?: number;
}

const syntheticWords = [
  "film", "great", "boring", "plot", "actor", "music", "weak", "scene", "loved", "ending", "script", "dull", "funny", "camera", "story", "cast",
]; // biome-ignore format: a list of words

/** The planted word of a feature: its strongest windows contain it and no other planted one. */
export function plantedWord(feature: number): string {
  return `planted${feature % 1000}x`;
}

/** Number of living features of a layer with the planted word of this one. */
export function plantedCopies(feature: number, features: number): number {
  const own = feature % 1000;
  return Math.ceil((features - own) / 1000) - Number(own === 0);
}

/**
 * Writes the file. Feature f of layer l has contribution (f - features / 2) / features and density f / (10 features);
 * feature 0 is dead.
 */
export function writeSyntheticStore(path: string, options: SyntheticOptions): void {
  const { layers, features, digest = "a".repeat(64), seed = 1 } = options;
  const random = Random.fromSeed(seed);
  const writer = new StoreWriter(path);
  writer.meta("task", "sentiment of movie reviews");
  const word = (): string => syntheticWords[random.integer(syntheticWords.length)] ?? "film";
  for (let window = 0; window < 2000; window++) {
    const words = [...Array.from({ length: 31 }, word), plantedWord(window)];
    const ends = new Uint32Array(words.length);
    let length = 0;
    for (const [at, { length: own }] of words.entries()) {
      length += own + (at === 0 ? 0 : 1);
      ends[at] = length;
    }
    writer.window({ id: window, source: `reviews.jsonl/${window}`, text: words.join(" "), ends });
  }
  for (let layer = 0; layer < layers; layer++) {
    writer.dictionary({ model: "tuned", size: "small", layer, features, tokens: 100_000, digest });
    for (let feature = 0; feature < features; feature++) addFeature(writer, layer, feature, features, random);
  }
  writer.finish();
}

function addFeature(writer: StoreWriter, layer: number, feature: number, features: number, random: Random): void {
  const place = { model: "tuned", size: "small", layer, feature } as const;
  const density = feature / (10 * features);
  writer.feature({
    place,
    density,
    activeTokens: Math.round(100_000 * density),
    maxActivation: feature === 0 ? 0 : 1 + random.uniform(),
    probeWeight: random.normal(),
    contribution: (feature - features / 2) / features,
    histogram: Uint32Array.from({ length: 20 }, (_, bin) => 20 - bin),
    twin: { place: { ...place, size: "big" }, cosine: random.uniform() },
    baseTwin: { place: { ...place, model: "base" }, cosine: random.uniform() },
    promotes: [{ token: "·good", logit: 1.5 }],
    suppresses: [{ token: "·bad", logit: -1.5 }],
  });
  if (feature === 0) return;
  const example = (kind: ExampleKind, rank: number, window: number, peak: number): void =>
    writer.example({
      place,
      split: rank % 2 === 0 ? "explain" : "score",
      kind,
      rank,
      window,
      peak,
      activations: Float32Array.from({ length: 32 }, (_, at) => (at === peak && kind !== "silent" ? 1 : 0)),
    });
  for (let rank = 0; rank < 8; rank++) example("top", rank, (feature % 1000) + 1000 * (rank % 2), 31 - (rank % 4));
  example("q1", 0, random.integer(2000), 3);
  example("silent", 0, random.integer(2000), 5);
}
