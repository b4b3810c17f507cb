/** Whether what was learned of a word and what was meant differ: by which reading, from where on, and how that is known. */
import type { LensLexicon } from "../../lens/lexicon.ts";
import type { RunInfo } from "../../protocol/lens-state.ts";
import { powerOf } from "../../protocol/power.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";

/** A rated word in a text, as a reading has it. */
export interface RatedReading {
  readonly word: string;
  /** What the feedback gives to it. */
  readonly rating: number;
  /** Of this place, in the reading's own units. */
  readonly value: number;
}

/** What words are judged by. */
export interface Judge {
  readonly info: RunInfo;
  readonly mode: ReadingMode;
  /** Undefined where the run has none, or an ablation makes it another model's. */
  readonly lexicon: LensLexicon | undefined;
  /** Where no calibration says from where on a word is flagged: so far from zero must both rating and reading be. */
  readonly threshold: number;
}

export interface Judgement {
  /** Of the word over its places in the run's texts, or of this place alone. */
  readonly level: "word" | "place";
  readonly places: number;
  /** The reading: of a log-ratio what is left of it without the mean of the run's rated words, where that is known (`isCentred`). */
  readonly value: number;
  readonly isCentred: boolean;
  /** The reading of this place as it stands, which colours and lists show. */
  readonly here: number;
  /** 95 % interval of `value`, where there is one. */
  readonly interval: readonly [low: number, high: number] | undefined;
  /** `value` against the rating's sign: above zero, the two differ. */
  readonly score: number;
  /** Scores from here on are flagged. */
  readonly threshold: number;
  /** Whether the threshold was measured; otherwise it is the setting's. */
  readonly isCalibrated: boolean;
  readonly isFlagged: boolean;
}

/** Whether a mode's numbers are log-ratios of words, in nats. */
export function isLogRatio(mode: ReadingMode): boolean {
  return mode === "learned" || mode === "fitted";
}

/**
 * Judges a word. A log-ratio is judged by the word's mean over the run's texts where the run's lexicon has the word often enough, which is surer than
 * one place; one that is fitted to features, at its place. Thresholds of a calibration hold for log-ratios only, and where the lexicon says what tuning did
 * to rated words on the mean: those of the probe were measured of words' means, which a text does not have.
 */
export function judge({ word, rating, value }: RatedReading, { info, mode, lexicon, threshold }: Judge): Judgement {
  const known = isLogRatio(mode) ? lexicon : undefined;
  // Thresholds were measured of centred scores.
  const power = known === undefined ? undefined : powerOf(info, mode);
  const entry = mode === "learned" ? known?.word(word.trim().toLowerCase()) : undefined;
  const own = entry?.centred ?? value - (known?.centre ?? 0);
  const measured = (entry === undefined ? power?.places : power?.words)?.threshold ?? undefined;
  const score = Math.sign(rating) === 0 ? 0 : -Math.sign(rating) * own;
  const isFar = measured === undefined ? score >= threshold && Math.abs(rating) >= threshold : score > measured;
  return {
    level: entry === undefined ? "place" : "word",
    places: entry?.places ?? 1,
    value: own,
    isCentred: known !== undefined,
    here: value,
    interval: entry === undefined || entry.low === null || entry.high === null ? undefined : [entry.low, entry.high],
    score,
    threshold: measured ?? threshold,
    isCalibrated: measured !== undefined,
    isFlagged: score > 0 && isFar,
  };
}
