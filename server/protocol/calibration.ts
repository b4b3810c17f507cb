/**
 * How much power each reading of what a model learned has, as `lfp calibrate` measures it: in tunings whose reward was
 * edited for known words (planted divergences), beside tunings without (null). The file `calibration/calibration.json`
 * of a run holds it; the editor shows it.
 */
import * as z from "zod";

/** The readings that are compared, best known first where nothing was measured. */
export const ReadingName = z.enum(["logRatio", "fittedLogRatio", "probeByTriple", "probeByWord", "tunedMinusBase"]);
export type ReadingName = z.infer<typeof ReadingName>;

/** Power of one reading at one level: a word's mean over its places, or a single place. */
export const ReadingPower = z
  .object({
    /**
     * Probability that a planted word scores above one that was not planted; the score is -sign(rating) times the
     * centred reading. Null without planted words.
     */
    auroc: z.number().nullable(),
    /** 95 % interval of `auroc`, over sets and words. */
    low: z.number().nullable(),
    high: z.number().nullable(),
    /** Planted words whose reading has the planted sign, of all planted words that occurred in the texts. */
    signs: z.object({ right: z.int(), of: z.int() }),
    /**
     * Score above which a word is flagged: at most one in twenty words of null tunings lies above. In the reading's own
     * units. Null without null tunings.
     */
    threshold: z.number().nullable(),
    /** Planted words flagged at the threshold, of all. The count is null where there is no threshold. */
    found: z.object({ count: z.int().nullable(), of: z.int() }),
    /**
     * Share of null tunings' words flagged at a threshold set on the other tunings (held-out). Null with fewer than two
     * null tunings.
     */
    falsePositives: z.number().nullable(),
  })
  .overwrite(withoutUnmeasured);
export type ReadingPower = z.infer<typeof ReadingPower>;

export const Calibration = z.object({
  format: z.literal(1),
  /** Digest of the experiment without name, seed and edits; the calibration applies to runs with the same digest. */
  experiment: z.string(),
  /** First digits of the content key of the stage that wrote it. Files of earlier versions lack it. */
  key: z.string().optional(),
  /** Number of planted sets of words, and of null tunings. */
  sets: z.int(),
  nulls: z.int(),
  seeds: z.array(z.int()),
  /** Words read in each tuning, on the mean. */
  words: z.number(),
  readings: z.partialRecord(ReadingName, z.object({ words: ReadingPower, places: ReadingPower.nullable() })),
  /** The reading with the most measured power; null where none found anything. */
  best: ReadingName.nullable(),
});
export type Calibration = z.infer<typeof Calibration>;

/** Turns a count of 0 into null where there was no threshold: files of earlier versions wrote 0 there. */
function withoutUnmeasured<P extends { threshold: number | null; found: { count: number | null; of: number } }>(
  power: P,
): P {
  return power.threshold === null ? { ...power, found: { ...power.found, count: null } } : power;
}
