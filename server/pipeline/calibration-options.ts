import { z } from "zod";

/** Which calibration of an experiment: how many tunings, and what is planted in them. */
export const CalibrationOptions = z.object({
  /** Number of tunings with planted words. */
  sets: z.int().min(0).max(100),
  wordsPerSet: z.int().min(1),
  /** Factor of planted ratings. */
  factor: z.number().max(1),
  /** Number of tunings without. */
  nulls: z.int().min(0).max(100),
  /** Minimum expected number of times that a tuning samples a word for it to be planted. */
  met: z.int().min(0),
  /** Seeds of the tunings with planted words, then of those without; by default the experiment's and those after it. */
  seeds: z.array(z.int().min(0).max(0xffff_ffff)).readonly().optional(),
  /** Overrides the experiment's steps of tuning. 0: nothing is tuned. */
  steps: z.int().min(0).max(999_999).optional(),
});
export type CalibrationOptions = Readonly<z.infer<typeof CalibrationOptions>>;

/** The options of `lfp calibrate` by which it is told which calibration it is. */
export function calibrationWords(options: CalibrationOptions): string[] {
  const { sets, nulls, factor, met, seeds, wordsPerSet, steps } = options;
  const values = { sets, nulls, factor, met, seeds: seeds?.join(","), "words-per-set": wordsPerSet, steps };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
}
