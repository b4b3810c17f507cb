/**
 * Judges whether what was learned about a word contradicts its rating: by which reading, from which threshold on, and
 * on what evidence.
 */
import type { LensLexicon } from "../../lens/lexicon.ts";
import type { RunInfo } from "../../protocol/lens-state.ts";
import { powerOf } from "../../protocol/power.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";

/** A rated word in a text, with its value in a reading. */
export interface RatedReading {
  readonly word: string;
  /** The feedback's rating of the word. */
  readonly rating: number;
  /** The value at this place, in the reading's units. */
  readonly value: number;
}

/** What words are judged by. */
export interface Judge {
  readonly info: RunInfo;
  readonly mode: ReadingMode;
  /** Undefined if the run has none, or if an ablation means that it describes another model. */
  readonly lexicon: LensLexicon | undefined;
  /**
   * Threshold without a calibration: a word is flagged only if rating and reading are both at least this far from zero.
   */
  readonly threshold: number;
}

export interface Judgement {
  /** Whether `value` is over the word's places in the run's texts, or of this place alone. */
  readonly level: "word" | "place";
  readonly places: number;
  /** The reading; a log-ratio minus the mean of the run's rated words if that is known (`isCentred`). */
  readonly value: number;
  readonly isCentred: boolean;
  /** The uncentred reading at this place, which colours and lists show. */
  readonly here: number;
  /** 95 % interval of `value`, if there is one. */
  readonly interval: readonly [low: number, high: number] | undefined;
  /** `value` times minus the rating's sign: positive if the two disagree. */
  readonly score: number;
  /** Threshold from which scores are flagged. */
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
 * Judges a word. A log-ratio is judged by the word's mean over the run's texts if the run's lexicon has enough
 * occurrences, which is more certain than one place; a fitted log-ratio is judged at its place. A calibration's
 * thresholds apply only to log-ratios, and only if the lexicon knows the mean effect of tuning on rated words; the
 * probe's were measured on words' means, which a single text does not give.
 */
export function judge({ word, rating, value }: RatedReading, { info, mode, lexicon, threshold }: Judge): Judgement {
  const known = isLogRatio(mode) ? lexicon : undefined;
  // The calibration measured its thresholds on centred scores.
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
