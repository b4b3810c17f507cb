/** Whoever asks to stop is heard in the middle of every long statistic, and what waits for the event loop is not held up. */
import { expect, test } from "vitest";
import { aurocOf } from "../../../server/calibration/power.ts";
import { Pacer } from "../../../server/common/pacer.ts";
import { Random } from "../../../server/common/random.ts";
import type { LearnedPlaces } from "../../../server/learned/collect.ts";
import { learnedLexicon } from "../../../server/learned/lexicon.ts";
import { familiarityOf } from "../../../server/probe/familiarity.ts";
import { wordSplitOf } from "../../../server/probe/fold-draws.ts";
import { evaluateProbe } from "../../../server/probe/regression.ts";
import { defaultProbeSettings, type ProbeSettings } from "../../../server/probe/report-types.ts";
import type { PartStore } from "../../../server/probe/saved-parts.ts";
import { wordReadings } from "../../../server/probe/word-readings.ts";
import type { Sae } from "../../../server/sae/sae.ts";
import { dictionarySimilarity } from "../../../server/sae/similarity.ts";
import { factor, meansOf, rowMatrix, rowProducts, scatter } from "../../../server/statistics/linear-algebra.ts";
import { bootstrapInterval, permutationTest } from "../../../server/statistics/resampling.ts";
import { ridgeOf, ridgeSmoother } from "../../../server/statistics/ridge.ts";
import { plantedTriples } from "../../support/planted-triples.ts";
import { levels } from "./fixture.ts";

const stopped = new Error("someone asked to stop");

/** Aborted by the first turn of the event loop after `when`: without one in the middle of the work, it ends untouched. */
async function stop(work: (signal: AbortSignal) => Promise<unknown>, when: Promise<void> = Promise.resolve()) {
  const controller = new AbortController();
  const asked = when.then(() => setImmediate(() => controller.abort(stopped)));
  await expect(work(controller.signal)).rejects.toBe(stopped);
  clearImmediate(await asked);
}

const pacer = (signal: AbortSignal): Pacer => new Pacer(signal);
const random = (): Random => Random.fromSeed(1);
const busy = (): number => {
  let sum = 0;
  for (let i = 0; i < 20_000; i++) sum += Math.sqrt(i);
  return sum;
};
const matrix = (rows: number, columns: number) => rowMatrix(levels(1, rows * columns, 1 / 64), rows, columns);
const sparse = (rows: number, columns: number) =>
  rowMatrix(
    levels(1, rows * columns, 1 / 64).map((value) => Math.max(0, value - 1.5)),
    rows,
    columns,
  );

test.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
  [
    "a bootstrap",
    (signal) => bootstrapInterval([1, 2], busy, { random: random(), resamples: 1e5, pacer: pacer(signal) }),
  ],
  [
    "a permutation test",
    (signal) => permutationTest(2, busy, { random: random(), permutations: 1e5, pacer: pacer(signal) }),
  ],
  ["a scatter matrix", (signal) => scatter(matrix(600, 900), new Float64Array(900), pacer(signal))],
  ["a sparse scatter matrix", (signal) => scatter(sparse(4000, 900), meansOf(sparse(4000, 900)), pacer(signal))],
  ["products of rows", (signal) => rowProducts(matrix(900, 600), new Float64Array(600), pacer(signal))],
  [
    "a factorisation",
    (signal) => factor({ data: new Float64Array(1600 * 1600), size: 1600, stride: 1600 }, 1, pacer(signal)),
  ],
  ["a ridge regression", (signal) => ridgeOf(matrix(900, 700), 1, pacer(signal))],
  ["a smoother", (signal) => ridgeSmoother(matrix(500, 300), matrix(4000, 300), 1, pacer(signal))],
  ["the power of a reading", (signal) => aurocOf(pairs, { random: random(), resamples: 1e5, pacer: pacer(signal) })],
  [
    "the similarity of two dictionaries",
    (signal) => dictionarySimilarity(dictionary(200), dictionary(400), pacer(signal)),
  ],
  ["a learned lexicon", (signal) => learnedLexicon(places, { minPlaces: 1, resamples: 1e5 }, random(), signal)],
  ["readings of words", (signal) => wordReadings(wide, settings, signal)],
  [
    "leverages",
    (signal) =>
      familiarityOf(wide.features, {
        train: Int32Array.from({ length: 200 }, (_, at) => at),
        byWord: wordSplitOf(wide.triples, settings),
        alpha: 1,
        pacer: pacer(signal),
      }),
  ],
])("%s", async (_, work) => {
  await stop(work);
});

const settings: ProbeSettings = {
  ...defaultProbeSettings,
  resamples: 1,
  permutations: 1,
  xavierSeeds: 1,
  labelShuffles: 1,
  foldDraws: 1,
  refits: 1,
};
const planted = plantedTriples({
  triples: 300,
  words: 25,
  columns: 12,
  signal: 2,
  identity: 0.3,
  noise: 0.2,
  seed: 1,
});
const wide = plantedTriples({
  triples: 400,
  words: 25,
  columns: 700,
  signal: 2,
  identity: 0.3,
  noise: 0.2,
  seed: 1,
});

/** The setting that makes a probe's evaluation long, and the part after which the long one comes. */
test.each<[keyof ProbeSettings, number, string | undefined]>([
  ["labelShuffles", 1000, undefined],
  ["xavierSeeds", 1000, "triple/features/0"],
  ["refits", 10_000, "word/features/4"],
  ["resamples", 100_000, "triple/features/0"],
  ["permutations", 100_000, "triple/features/0"],
])("a probe with its largest %s", async (setting, value, after) => {
  const parts = new Map<string, unknown>();
  const reached = Promise.withResolvers<void>();
  if (after === undefined) reached.resolve();
  const store: PartStore = {
    find: (name) => parts.get(name),
    save: async (name, result) => {
      parts.set(name, result);
      if (name === after) reached.resolve();
    },
  };
  const long = { ...settings, [setting]: value };
  await stop((signal) => evaluateProbe(planted, long, store, signal), reached.promise);
});

const dictionary = (F: number): Sae => {
  const draw = random().fork(`${F}`);
  const decoder = new Float32Array(F * 32).map(() => draw.normal());
  const biases = { encoderBias: new Float32Array(F), decoderBias: new Float32Array(32) };
  return { D: 32, F, activation: { kind: "relu" }, encoder: decoder, decoder, ...biases };
};
const pairs = [{ P: 60, O: 300, wins: new Float64Array(18_000).fill(1), pairs: new Float64Array(18_000).fill(2) }];
const places: LearnedPlaces = {
  words: Array.from({ length: 50 }, (_, at) => ({ word: `w${at}`, rating: (at % 5) - 2 })),
  word: Int32Array.from({ length: 4000 }, (_, at) => at % 50),
  text: Int32Array.from({ length: 4000 }, (_, at) => Math.floor(at / 10)),
  logRatio: Float64Array.from({ length: 4000 }, (_, at) => Math.sin(at)),
  tokens: new Int32Array(400).fill(10),
  kl: undefined,
};
