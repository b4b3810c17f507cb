import { invariant, LfpError } from "../common/errors.ts";

/** Any array of numbers; nothing here changes the array it is given. */
export type Numbers = ArrayLike<number>;

/** The input has a NaN where a statistic needs a number. */
export class NotANumberError extends LfpError {
  readonly code = "non-finite";
}

/**
 * A float64 copy of `values`. Throws `NotANumberError` on a NaN, because a NaN has no rank and no mean; infinities
 * are allowed.
 */
export function sampleOf(values: Numbers, name: string): Float64Array {
  const sample = new Float64Array(values);
  // A loop takes a fraction of the time of a search by a function, and statistics of resamples call this most.
  for (let at = 0; at < sample.length; at++) {
    if (Number.isNaN(sample[at]))
      throw new NotANumberError(
        `${name}[${at}] is NaN where a number was expected; drop that row or mend what computed it`,
      );
  }
  return sample;
}

/** Both samples, which must be equally long: row i of one belongs to row i of the other. */
export function pairedSamples(x: Numbers, y: Numbers, names: readonly [string, string]): [Float64Array, Float64Array] {
  invariant(x.length === y.length, `${names[0]} has ${x.length} values and ${names[1]} ${y.length}; they must pair up`);
  return [sampleOf(x, names[0]), sampleOf(y, names[1])];
}
