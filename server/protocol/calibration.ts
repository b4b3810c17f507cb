/**
 * How much power each reading of what a model learned has, as `lfp calibrate` measures it: in tunings whose reward was edited for known words
 * (planted divergences), beside tunings without (null). The file `calibration/calibration.json` of a run holds it; the editor shows it.
 */
import * as z from "zod";

/** The readings that are compared, best known first where nothing was measured. */
export const ReadingName = z.enum(["logRatio", "fittedLogRatio", "probeByTriple", "probeByWord", "tunedMinusBase"]);
export type ReadingName = z.infer<typeof ReadingName>;

/** Of one reading, at one level: a word's mean over its places, or a single place. */
export const ReadingPower = z
  .object({
    /** Chance that a planted word stands above one that was not, by the score -sign(rating) times the centred reading. Null without planted words. */
    auroc: z.number().nullable(),
    /** 95 % interval of `auroc`, over sets and words. */
    low: z.number().nullable(),
    high: z.number().nullable(),
    /** Planted words whose reading has the sign that was planted, of all that were planted and met. */
    signs: z.object({ right: z.int(), of: z.int() }),
    /** Score above which a word is flagged: at most one in twenty words of null tunings lies above. In the reading's own units. Null without null tunings. */
    threshold: z.number().nullable(),
    /** Planted words flagged at the threshold, of all. The count is null where there is no threshold. */
    found: z.object({ count: z.int().nullable(), of: z.int() }),
    /** Words of null tunings flagged at thresholds that were set without their tuning, as a share. Null with fewer than two null tunings. */
    falsePositives: z.number().nullable(),
  })
  .overwrite(withoutUnmeasured);
export type ReadingPower = z.infer<typeof ReadingPower>;

export const Calibration = z.object({
  format: z.literal(1),
  /** Digest of the experiment without name, seed and edits: the calibration speaks for runs of the same. */
  experiment: z.string(),
  /** First digits of the key of the stage that made it. Files of earlier versions lack it. */
  key: z.string().optional(),
  /** Planted sets of words and the tunings without. */
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

/** Files of earlier versions count no planted word as found where there was no threshold to find it at. */
function withoutUnmeasured<P extends { threshold: number | null; found: { count: number | null; of: number } }>(
  power: P,
): P {
  return power.threshold === null ? { ...power, found: { ...power.found, count: null } } : power;
}
