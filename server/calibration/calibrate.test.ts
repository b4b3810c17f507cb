/** Against brute force, scikit-learn's AUROC (which `auroc` equals), and what must come of nothing. */
import { describe, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { auroc } from "../statistics/ranks.ts";
import { calibrate, type ReadingsOfTuning } from "./calibrate.ts";
import {
  aurocIn,
  aurocOf,
  falsePositives,
  pairsOf,
  type ReadTuning,
  type ReadWord,
  scored,
  signsOf,
  thresholdOf,
} from "./power.ts";

const random = Random.fromSeed(5);
/** Few different values, so that many tie. */
const coarse = (): number => Math.round(3 * random.normal()) / 3;

/** Words with several values each, of which the first so many are planted with the other sign. */
function someWords(
  planted: number,
  others: number,
  drawn: (word: { rating: number; planted: boolean }) => number,
  values = 1,
): ReadTuning {
  return Array.from({ length: planted + others }, (_, at): ReadWord => {
    const rating = (at % 2 === 0 ? 1 : -1) * (1 + (at % 3));
    const isPlanted = at < planted;
    return {
      word: `w${at}`,
      rating,
      planted: isPlanted ? -rating : undefined,
      isCandidate: true,
      values: Array.from({ length: values }, () => drawn({ rating, planted: isPlanted })),
    };
  });
}

describe("scores", () => {
  const words = someWords(4, 9, coarse, 3);

  it("are minus the rating's sign times what is above the mean of the words that were not planted", async () => {
    const means = words.map(({ values }) => values.reduce((sum, value) => sum + value, 0) / 3);
    const centre = means.slice(4).reduce((sum, value) => sum + value, 0) / 9;
    for (const [at, { centred, scores }] of scored(words).entries()) {
      expect(centred).toBeCloseTo((means[at] ?? 0) - centre, 12);
      const { rating = 0, values = [] } = words[at] ?? {};
      expect(scores).toEqual(values.map((value) => expect.closeTo(-Math.sign(rating) * (value - centre), 12)));
    }
  });

  it("of planted words stand above the others as often as scikit-learn's AUROC says, ties counting half", async () => {
    for (const values of [1, 3]) {
      const own = scored(someWords(5, 20, coarse, values));
      const flat = own.flatMap(({ scores, planted }) =>
        scores.map((score) => ({ score, label: planted !== undefined })),
      );
      const expected = auroc(
        flat.map(({ score }) => score),
        flat.map(({ label }) => label),
      );
      expect(aurocIn(pairsOf(own))).toBeCloseTo(expected, 12);
    }
  });

  it("are compared with those of words that might have been planted alone", async () => {
    const others = scored(words).map((word, at) => ({ ...word, isCandidate: at % 2 === 0 }));
    const kept = others.filter(({ planted, isCandidate }) => planted !== undefined || isCandidate);
    expect(pairsOf(others)).toEqual(pairsOf(kept));
    expect(pairsOf(others).O).toBe(5);
  });

  it("counted several times are as if the words stood there several times", async () => {
    const own = scored(words);
    const [planted, others] = [own.slice(0, 4), own.slice(4)];
    const pairs = pairsOf(own);
    const [rows, columns] = [
      [2, 0, 1, 1],
      [1, 0, 3, 1, 0, 0, 2, 1, 1],
    ];
    const repeated = [
      ...planted.flatMap((word, at) => Array.from({ length: rows[at] ?? 0 }, () => word)),
      ...others.flatMap((word, at) => Array.from({ length: columns[at] ?? 0 }, () => word)),
    ];
    expect(aurocIn(pairs, rows, columns)).toBeCloseTo(aurocIn(pairsOf(repeated)), 12);
  });

  it("tell planted signs", async () => {
    const told = scored(someWords(4, 8, ({ rating, planted }) => (planted ? -rating : rating)));
    expect(signsOf(told)).toEqual({ right: 4, of: 4 });
    const meant = scored(someWords(4, 8, ({ rating }) => rating));
    expect(signsOf(meant)).toEqual({ right: 0, of: 4 });
  });
});

describe("the interval of AUROC", () => {
  it("holds 0.5 about nineteen times in twenty where planted words are like the others", async () => {
    const held: boolean[] = [];
    for (let at = 0; at < 100; at += 1) {
      const tunings = Array.from({ length: 4 }, () => pairsOf(scored(someWords(8, 40, () => random.normal()))));
      const found = await aurocOf(tunings, { random: Random.fromSeed(at), resamples: 200 });
      held.push(found !== undefined && found.low <= 0.5 && found.high >= 0.5);
    }
    expect(held.filter(Boolean).length).toBeGreaterThanOrEqual(89);
  });

  it("lies above 0.7 where they are not, around the mean over tunings", async () => {
    const drawn = ({ rating, planted }: { rating: number; planted: boolean }): number =>
      (planted ? -1 : 1) * Math.sign(rating) + random.normal();
    const tunings = Array.from({ length: 5 }, () => pairsOf(scored(someWords(10, 90, drawn))));
    const found = await aurocOf(tunings, { random: Random.fromSeed(1), resamples: 500 });
    // Two standard normal values two apart: Phi(2 / sqrt(2)) = 0.921.
    expect(found?.value).toBeCloseTo(0.921, 1);
    expect(found?.low).toBeGreaterThan(0.7);
    expect(found?.value).toBeCloseTo(tunings.map((one) => aurocIn(one)).reduce((sum, one) => sum + one, 0) / 5, 12);
  });

  it("is not there without pairs", async () => {
    expect(await aurocOf([pairsOf(scored(someWords(0, 9, coarse)))], { random, resamples: 9 })).toBeUndefined();
    expect(await aurocOf([], { random, resamples: 9 })).toBeUndefined();
  });
});

describe("the threshold", () => {
  const nulls = Array.from({ length: 3 }, () => scored(someWords(0, 57, () => random.normal())));
  const scoresOf = (words: (typeof nulls)[number]): number[] => words.flatMap(({ scores }) => scores);

  it("has at most one in twenty words of every null tuning above it, and is the least such score", async () => {
    const threshold = thresholdOf(nulls) ?? Number.NaN;
    const above = (limit: number): number[] =>
      nulls.map((words) => scoresOf(words).filter((score) => score > limit).length);
    expect(Math.max(...above(threshold))).toBe(Math.floor(0.05 * 57));
    expect(Math.max(...above(threshold - 1e-9))).toBeGreaterThan(0.05 * 57);
  });

  it("is not below 0, where a word agrees with its rating", async () => {
    const right = [scored(someWords(0, 40, ({ rating }) => rating))];
    expect(thresholdOf(right)).toBe(0);
    expect(thresholdOf([])).toBeUndefined();
  });

  it("is set without the tuning whose false positives are counted", async () => {
    const counted = nulls.map((words, at) => {
      const limits = nulls
        .filter((_, other) => other !== at)
        .map((others) => scoresOf(others).toSorted((a, b) => b - a)[Math.floor(0.05 * 57)] ?? 0);
      return scoresOf(words).filter((score) => score > Math.max(0, ...limits)).length;
    });
    expect(falsePositives(nulls)).toBeCloseTo(counted.reduce((sum, count) => sum + count, 0) / (3 * 57), 12);
    expect(falsePositives(nulls.slice(0, 1))).toBeUndefined();
  });
});

describe("a calibration", () => {
  const placesOf = new Map(Array.from({ length: 8 }, (_, at) => [`w${at}`, 20 + at]));
  const options = { random: Random.fromSeed(1), resamples: 300, placesOf };
  type Values = (word: { rating: number; planted: boolean }) => number;
  /** Four tunings with eight planted words each and two without; the reading by word sees none of it. */
  const tuningsOf = (told: Values, { sets = 4, nulls = 2 } = {}): ReadingsOfTuning[] =>
    Array.from({ length: sets + nulls }, (_, at) => {
      const isNull = at >= sets;
      const untold: Values = (word) => told({ ...word, planted: false });
      const asTheyAre = (words: ReadTuning): ReadTuning =>
        isNull
          ? words.map((word) => ({ ...word, planted: word.planted === undefined ? undefined : word.rating }))
          : words;
      return {
        id: `${isNull ? "null" : "set"}${at}`,
        isNull,
        readings: {
          logRatio: {
            words: asTheyAre(someWords(8, 60, isNull ? untold : told)),
            places: asTheyAre(someWords(8, 60, isNull ? untold : told, 5)),
          },
          probeByWord: { words: asTheyAre(someWords(8, 60, () => random.normal())) },
        },
      };
    });
  const learned: Values = ({ rating, planted }) => (planted ? -1 : 1) * Math.sign(rating) + 0.5 * random.normal();

  it("finds the reading that finds what was planted, with its power by frequency and dose", async () => {
    const { readings, best, moved, planted, words } = await calibrate(tuningsOf(learned), options);
    expect([best, moved, words]).toEqual(["logRatio", true, 68]);
    const own = readings.logRatio;
    expect(own?.words.auroc).toBeGreaterThan(0.95);
    expect(own?.places?.auroc).toBeGreaterThan(0.95);
    expect(own?.words.signs).toEqual({ right: 32, of: 32 });
    expect(own?.words.found).toMatchObject({ count: expect.toSatisfy((count) => count > 28), of: 32 });
    expect(own?.words.falsePositives).toBeLessThan(0.12);
    expect(own?.control?.low).toBeLessThan(0.5);
    expect(own?.groups.filter(({ by }) => by === "frequency").map(({ words: count }) => count)).toEqual([12, 12, 8]);
    expect(own?.groups.filter(({ by }) => by === "dose").map(({ name }) => name)).toEqual([
      "2 points",
      "4 points",
      "6 points",
    ]);
    expect(readings.probeByWord?.words).toMatchObject({ signs: { of: 32 } });
    expect(readings.probeByWord?.words.low).toBeLessThan(0.5);
    expect(readings.probeByWord?.places).toBeNull();
    expect(planted).toHaveLength(32);
    expect(planted[0]).toMatchObject({ tuning: "set0", word: "w0", rating: 1, planted: -1, places: 20 });
    expect(Object.keys(planted[0]?.readings ?? {})).toEqual(["logRatio", "probeByWord"]);
  });

  it("of words that tuning was told nothing of finds nothing", async () => {
    const { readings, best } = await calibrate(
      tuningsOf((word) => learned({ ...word, planted: false })),
      options,
    );
    const { low, high, found } = readings.logRatio?.words ?? { low: 1, high: 0, found: { count: 99, of: 0 } };
    expect(low).toBeLessThanOrEqual(0.5);
    expect(high).toBeGreaterThanOrEqual(0.5);
    expect((found.count ?? 99) / found.of).toBeLessThan(0.2);
    expect(best).toBeNull();
  });

  it("without planted words says what the drawn ones score by chance, and nothing of signs", async () => {
    const { readings, best, planted } = await calibrate(tuningsOf(learned, { sets: 0 }), options);
    const { low, high, found, signs } = readings.logRatio?.words ?? { low: 1, high: 0 };
    expect(low).toBeLessThanOrEqual(0.5);
    expect(high).toBeGreaterThanOrEqual(0.5);
    expect([found, signs]).toEqual([
      { count: 0, of: 0 },
      { right: 0, of: 0 },
    ]);
    expect([best, planted, readings.logRatio?.control]).toEqual([null, [], null]);
  });

  it("without null tunings has no threshold, and says of nothing that it is flagged or not", async () => {
    const { readings, best, planted } = await calibrate(tuningsOf(learned, { nulls: 0 }), options);
    const { words, places, othersFlagged, groups } = readings.logRatio ?? {};
    for (const power of [words, places])
      expect(power).toMatchObject({ threshold: null, found: { count: null }, falsePositives: null });
    expect([words?.found.of, places?.found.of, othersFlagged]).toEqual([32, 160, null]);
    expect(new Set(groups?.map(({ found }) => found))).toEqual(new Set([null]));
    expect(new Set(planted.map((word) => word.readings.logRatio?.flagged))).toEqual(new Set([null]));
    expect(best).toBe("logRatio");
  });

  it("of tunings that did nothing has ties, and no finding whatever another reading says", async () => {
    const tunings = tuningsOf(() => 0).map((tuning) => ({
      ...tuning,
      readings: {
        ...tuning.readings,
        probeByTriple: { words: someWords(8, 60, ({ rating, planted }) => (planted ? -rating : rating)) },
      },
    }));
    const { readings, best, moved } = await calibrate(tunings, options);
    expect(readings.logRatio?.words).toMatchObject({
      auroc: 0.5,
      low: 0.5,
      high: 0.5,
      signs: { right: 0, of: 32 },
      found: { count: 0, of: 32 },
    });
    expect(readings.probeByTriple?.words.auroc).toBeGreaterThan(0.9);
    expect([best, moved]).toEqual([null, false]);
  });

  it("gives equal results from equal seeds", async () => {
    const tunings = tuningsOf(learned);
    expect(await calibrate(tunings, options)).toEqual(await calibrate(tunings, options));
  });
});
