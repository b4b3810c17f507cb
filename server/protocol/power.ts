/**
 * Chooses the reading that represents what a model learned, the one with the most measured power, and puts its power
 * into words.
 */
import type { ReadingName, ReadingPower } from "./calibration.ts";
import type { LensMode } from "./lens.ts";
import type { LensInfo } from "./lens-state.ts";
import { type ReadingChoice, ReadingMode } from "./reading-mode.ts";

/**
 * The calibration's reading that measures each mode's power. A probe is measured by word (on words held out from its
 * fit), because the user's text is not among its training texts.
 */
const readings: { readonly [K in ReadingMode]: ReadingName } = {
  learned: "logRatio",
  fitted: "fittedLogRatio",
  implicit: "probeByWord",
  tunedMinusBase: "tunedMinusBase",
};

/** Why the target does not offer a mode; undefined if it does. */
export function whyNotOffered(kind: LensMode["kind"], info: LensInfo): string | undefined {
  if (info.kind === "pair") {
    if (kind === "learned") return undefined;
    if (info.difference !== undefined) return "two runs are compared by their learned rewards alone";
    return kind === "kl"
      ? undefined
      : "two checkpoints have no probe, no features and no feedback; choose a run for it";
  }
  if (!info.hasBase && (kind === "learned" || kind === "kl" || kind === "tunedMinusBase"))
    return "the run has no base model on this machine";
  if (!info.hasFitted && kind === "fitted") return "the run did not fit the log-ratio to its features";
  if (!info.hasTrueReward && (kind === "true" || kind === "disagreement")) return "the run's task rates no words";
  return undefined;
}

/** Why a mode was selected: the user chose it, it has the most measured power, or nothing was measured. */
export type WhyReading = "chosen" | "measured" | "unmeasured";

/**
 * Selects the mode that represents what was learned: the wanted one if the target offers it; otherwise the one with the
 * most measured power; if nothing was measured, the log-ratio, which needs no labels, or without a base model the
 * probe.
 */
export function readingMode(info: LensInfo, wanted: ReadingChoice): ReadingMode {
  return readingChosen(info, wanted).mode;
}

/** Selects the mode like `readingMode`, and says why. */
export function readingChosen(
  info: LensInfo,
  wanted: ReadingChoice,
): { readonly mode: ReadingMode; readonly why: WhyReading } {
  const isOffered = (mode: ReadingMode): boolean => whyNotOffered(mode, info) === undefined;
  if (wanted !== "auto" && isOffered(wanted)) return { mode: wanted, why: "chosen" };
  const best = byPower(info).find(isOffered);
  if (best !== undefined) return { mode: best, why: "measured" };
  return { mode: isOffered("learned") ? "learned" : "implicit", why: "unmeasured" };
}

/**
 * Modes whose reading found planted words more often than chance, the best first by the figures that are quoted for
 * them; empty if the calibration found none.
 */
function byPower(info: LensInfo): ReadingMode[] {
  if (info.kind !== "run" || (info.calibration?.best ?? null) === null) return [];
  const measured = ReadingMode.options.flatMap((mode) => {
    const { auroc = null, low = null } = powerOf(info, mode)?.words ?? {};
    return auroc !== null && low !== null && low > 0.5 ? [{ mode, auroc }] : [];
  });
  return measured.toSorted((one, other) => other.auroc - one.auroc).map(({ mode }) => mode);
}

/** The calibration's measurement of a mode; undefined if there is none. */
export function powerOf(
  info: LensInfo,
  mode: ReadingMode,
): { readonly words: ReadingPower; readonly places: ReadingPower | null } | undefined {
  return info.kind === "run" ? info.calibration?.readings[readings[mode]] : undefined;
}

/** What a number or a verdict refers to, as far as trust in it depends on that. */
export interface TrustedAs {
  /** A word over its places in the run's texts, or a single place. */
  readonly level: "word" | "place";
  /** Whether features are ablated: a calibration applies only to models as they were tuned. */
  readonly isAblated: boolean;
}

/** One sentence, with figures, on how far to trust a mode. */
export function trustSentence(info: LensInfo, mode: ReadingMode, { level, isAblated }: TrustedAs): string {
  const subject = subjects[mode];
  if (info.kind === "pair" && info.difference !== undefined)
    return "Two runs differ by chance too: how far runs of other seeds differ here was not measured.";
  if (info.kind === "pair")
    return "How often the log-ratio is right was not measured for these two checkpoints; the calibration of a run (lfp calibrate) measures it.";
  if (info.calibration === null)
    return "This run has no calibration: how often such a reading is right was not measured (lfp calibrate measures it).";
  if (isAblated)
    return "The run's calibration is of models without an ablation: how often such a reading is right under this one was not measured.";
  const measured = powerOf(info, mode);
  if (measured === undefined) return `The run's calibration did not measure ${subject}.`;
  const { words, places } = measured;
  if (words.found.of === 0) return `The run's calibration planted no words, so what ${subject} finds was not measured.`;
  if (level === "word") return `${figures(subject, words, "words")}.`;
  return places === null
    ? `Not calibrated for single places. Over all places of a word: ${figures(subject, words, "words")}.`
    : `At single places: ${figures(subject, places, "places")}.`;
}

/** `The log-ratio found 21 of 50 planted words in models tuned like this; 1 in 20 other words is flagged by chance`. */
function figures(subject: string, { found, falsePositives, auroc }: ReadingPower, of: "words" | "places"): string {
  const planted = of === "words" ? "planted words" : "places of planted words";
  if (found.count !== null)
    return `${capital(subject)} found ${found.count} of ${found.of} ${planted} in models tuned like this${chance(falsePositives, of)}`;
  const above =
    auroc === null ? "" : `${capital(subject)} sets ${planted} above others with an AUROC of ${auroc.toFixed(2)}. `;
  return `${above}How many it finds was not measured: the run's calibration tuned no model without planted words (lfp calibrate --nulls), so it has no threshold`;
}

const subjects: { readonly [K in ReadingMode]: string } = {
  learned: "the log-ratio",
  fitted: "the log-ratio fitted to features",
  implicit: "the probe",
  tunedMinusBase: "tuned minus base",
};

/** `, and flags 1 in 20 others by chance`. */
function chance(falsePositives: number | null, of: "words" | "places"): string {
  if (falsePositives === null) return "; how many others it flags by chance was not measured";
  if (falsePositives === 0) return `; of the ${of} of models tuned without any it flagged none`;
  return `, and flags 1 in ${Math.round(1 / falsePositives)} others by chance`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
