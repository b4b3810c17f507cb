/**
 * Estimates the power of readings, that is how far each can be trusted, from their values for words in planted and
 * unplanted tunings. A pure function.
 */
import { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { type Calibration, ReadingName, type ReadingPower } from "../protocol/calibration.ts";
import { mean } from "../statistics/moments.ts";
import { percentiles } from "../statistics/percentile.ts";
import {
  type AurocOptions,
  aurocIn,
  aurocOf,
  falsePositives,
  type Pairs,
  pairsOf,
  type ReadTuning,
  type ScoredWord,
  scored,
  signsOf,
  thresholdOf,
} from "./power.ts";

/** One reading's values for a tuning's words, and for single places if it has those. */
export interface TuningReading {
  readonly words: ReadTuning;
  readonly places?: ReadTuning;
}

/** One tuning: with planted words, or without. */
export interface ReadingsOfTuning {
  /** Such as `set1` or `null2`. */
  readonly id: string;
  /** In a null tuning the drawn words kept their own rating, which stands as the planted one. */
  readonly isNull: boolean;
  readonly readings: Readonly<Partial<Record<ReadingName, TuningReading>>>;
}

export interface PowerGroup {
  /** Such as `20 to 35 places`. */
  readonly name: string;
  readonly by: "frequency" | "dose";
  readonly words: number;
  readonly auroc: number;
  /** Number of words with a value above the threshold; null without a threshold. See below. */
  readonly found: number | null;
  readonly right: number;
}

export interface ReadingResult {
  readonly words: ReadingPower;
  readonly places: ReadingPower | null;
  /** AUROC of the same words in null tunings, where they were not planted. */
  readonly control: { readonly value: number; readonly low: number; readonly high: number } | null;
  /** Share of the unplanted words of planted tunings that lie above the threshold. */
  readonly othersFlagged: number | null;
  readonly groups: readonly PowerGroup[];
}

/** One reading's result for one planted word. */
export interface WordVerdict {
  readonly centred: number;
  /** Share of the tuning's other candidates that have a lower score. */
  readonly above: number;
  readonly flagged: boolean | null;
}

export interface PlantedWord {
  readonly tuning: string;
  readonly word: string;
  readonly rating: number;
  readonly planted: number;
  readonly places: number;
  readonly readings: Readonly<Partial<Record<ReadingName, WordVerdict>>>;
}

export interface CalibrationResult {
  readonly readings: Readonly<Partial<Record<ReadingName, ReadingResult>>>;
  readonly best: Calibration["best"];
  /** Mean number of words in a tuning, of the reading that covers most. */
  readonly words: number;
  readonly planted: readonly PlantedWord[];
  /** False if every log-ratio of every planted tuning is 0: there was nothing to find. */
  readonly moved: boolean;
}

export interface CalibrateOptions {
  readonly random: Random;
  readonly resamples: number;
  /** Number of places of each planted word in the texts. */
  readonly placesOf: ReadonlyMap<string, number>;
  readonly signal?: AbortSignal;
}

/**
 * Computes the power of every reading that at least one tuning has. `random` is only forked. Throws the signal's
 * reason soon after it is aborted.
 */
export async function calibrate(
  tunings: readonly ReadingsOfTuning[],
  options: CalibrateOptions,
): Promise<CalibrationResult> {
  const pacer = new Pacer(options.signal);
  const readings: Partial<Record<ReadingName, ReadingResult>> = {};
  const verdicts = new Map<string, PlantedWord>();
  for (const name of ReadingName.options) {
    const own = tunings.flatMap(({ id, isNull, readings: all }) => {
      const reading = all[name];
      return reading === undefined ? [] : [{ id, isNull, reading }];
    });
    if (own.length === 0) continue;
    const words = levelOf(own.map(({ id, isNull, reading }) => ({ id, isNull, words: reading.words })));
    const atPlaces = own.flatMap(({ id, isNull, reading: { places } }) =>
      places === undefined ? [] : [{ id, isNull, words: places }],
    );
    const random = options.random.fork(name);
    readings[name] = {
      words: await powerOf(words, { ...options, pacer, random: random.fork("words") }),
      places:
        atPlaces.length === 0
          ? null
          : await powerOf(levelOf(atPlaces), { ...options, pacer, random: random.fork("places") }),
      control: await controlOf(words, { ...options, pacer, random: random.fork("control") }),
      othersFlagged: othersFlagged(words),
      groups: [...groupsOf(words, "frequency", options), ...groupsOf(words, "dose", options)],
    };
    addVerdicts(verdicts, name, words, options);
  }
  const moved = tunings.some(({ isNull, readings: { logRatio } }) => !isNull && hasMoved(logRatio));
  return {
    readings,
    best: moved ? bestOf(readings) : null,
    words: wordsRead(tunings),
    planted: [...verdicts.values()],
    moved,
  };
}

/** One reading at one level: scored tunings with and without planted words. */
interface Level {
  readonly planted: readonly ScoredTuning[];
  readonly nulls: readonly ScoredTuning[];
  /** Score above which a word is flagged; undefined without null tunings. */
  readonly threshold: number | undefined;
}

interface ScoredTuning {
  readonly id: string;
  readonly words: readonly ScoredWord[];
  readonly pairs: Pairs;
}

function levelOf(
  tunings: readonly { readonly id: string; readonly isNull: boolean; readonly words: ReadTuning }[],
): Level {
  const all = tunings.map(({ id, isNull, words: read }) => {
    const words = scored(read);
    return { id, isNull, words, pairs: pairsOf(words) };
  });
  const nulls = all.filter(({ isNull }) => isNull);
  return {
    planted: all.filter(({ isNull }) => !isNull),
    nulls,
    threshold: thresholdOf(nulls.map(({ words }) => words)),
  };
}

/** The same words of null tunings, where nothing was planted, are the control. */
async function powerOf({ planted, nulls, threshold }: Level, options: AurocOptions): Promise<ReadingPower> {
  const auroc = await aurocOf(
    (planted.length > 0 ? planted : nulls).map(({ pairs }) => pairs),
    options,
  );
  const all = planted.flatMap(({ words }) => words);
  const scores = plantedIn(all).flatMap((word) => word.scores);
  return {
    auroc: auroc?.value ?? null,
    low: auroc?.low ?? null,
    high: auroc?.high ?? null,
    signs: signsOf(all),
    threshold: threshold ?? null,
    found: { count: threshold === undefined ? null : countAbove(scores, threshold), of: scores.length },
    falsePositives: falsePositives(nulls.map(({ words }) => words)) ?? null,
  };
}

function plantedIn(words: readonly ScoredWord[]): ScoredWord[] {
  return words.filter(({ planted }) => planted !== undefined);
}

function countAbove(scores: readonly number[], threshold: number): number {
  return scores.filter((score) => score > threshold).length;
}

/** Whether any value of a word lies above the threshold; null without a threshold. */
function isFlagged({ scores }: ScoredWord, threshold: number | undefined): boolean | null {
  return threshold === undefined ? null : countAbove(scores, threshold) > 0;
}

async function controlOf({ planted, nulls }: Level, options: AurocOptions): Promise<ReadingResult["control"]> {
  if (planted.length === 0) return null;
  const pairs = nulls.map((tuning) => tuning.pairs);
  return (await aurocOf(pairs, options)) ?? null;
}

function othersFlagged({ planted, threshold }: Level): number | null {
  const others = planted.flatMap(({ words }) => words).filter((word) => word.planted === undefined);
  if (threshold === undefined || others.length === 0) return null;
  return mean(others.map(({ scores }) => countAbove(scores, threshold) / scores.length));
}

/**
 * Planted words in three groups of about equal size, by their frequency in the texts or by the shift of their
 * rating.
 */
function groupsOf({ planted, threshold }: Level, by: PowerGroup["by"], { placesOf }: CalibrateOptions): PowerGroup[] {
  const words = planted.flatMap((tuning) =>
    plantedIn(tuning.words).map((word, row) => ({
      word,
      auroc: aurocIn(tuning.pairs, only(row, tuning.pairs.P)),
      size: by === "frequency" ? (placesOf.get(word.word) ?? 0) : Math.abs((word.planted ?? word.rating) - word.rating),
    })),
  );
  if (words.length < 3) return [];
  const [low = 0, high = 0] = percentiles(
    words.map(({ size }) => size),
    [100 / 3, 200 / 3],
  );
  const groups = [
    words.filter(({ size }) => size <= low),
    words.filter(({ size }) => size > low && size <= high),
    words.filter(({ size }) => size > high),
  ];
  return groups.flatMap((group) => {
    if (group.length === 0) return [];
    const sizes = group.map(({ size }) => size);
    const [from, to] = [Math.min(...sizes), Math.max(...sizes)].map((size) => Number(size.toPrecision(3)));
    return {
      name: `${from === to ? from : `${from} to ${to}`}${by === "frequency" ? " places" : " points"}`,
      by,
      words: group.length,
      auroc: mean(group.map(({ auroc }) => auroc)),
      found: threshold === undefined ? null : group.filter(({ word }) => isFlagged(word, threshold)).length,
      right: signsOf(group.map(({ word }) => word)).right,
    };
  });
}

function only(row: number, rows: number): Float64Array {
  const times = new Float64Array(rows);
  times[row] = 1;
  return times;
}

function addVerdicts(
  verdicts: Map<string, PlantedWord>,
  name: ReadingName,
  { planted, threshold }: Level,
  { placesOf }: CalibrateOptions,
): void {
  for (const { id, words, pairs } of planted) {
    for (const [row, word] of plantedIn(words).entries()) {
      const key = `${id} ${word.word}`;
      const { rating, planted: plantedRating = rating } = word;
      const known = verdicts.get(key) ?? {
        tuning: id,
        word: word.word,
        rating,
        planted: plantedRating,
        places: placesOf.get(word.word) ?? 0,
        readings: {},
      };
      const verdict = {
        centred: word.centred,
        above: aurocIn(pairs, only(row, pairs.P)),
        flagged: isFlagged(word, threshold),
      };
      verdicts.set(key, { ...known, readings: { ...known.readings, [name]: verdict } });
    }
  }
}

/** The highest AUROC among those whose interval lies above chance. */
function bestOf(readings: CalibrationResult["readings"]): Calibration["best"] {
  const found = ReadingName.options.flatMap((name) => {
    const { auroc = null, low = null } = readings[name]?.words ?? {};
    return auroc !== null && low !== null && low > 0.5 ? [{ name, auroc }] : [];
  });
  return found.toSorted((a, b) => b.auroc - a.auroc)[0]?.name ?? null;
}

function hasMoved(reading: TuningReading | undefined): boolean {
  return reading?.words.some(({ values }) => values.some((value) => value !== 0)) === true;
}

function wordsRead(tunings: readonly ReadingsOfTuning[]): number {
  const counts = tunings.map(({ readings }) =>
    Math.max(0, ...Object.values(readings).map(({ words }) => words.length)),
  );
  return counts.length === 0 ? 0 : mean(counts);
}
