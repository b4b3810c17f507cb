/**
 * Where each feature of a dictionary is active, and how strongly. Letters: N tokens of a pass, F features, K
 * activations in all.
 */
import { invariant } from "../../common/errors.ts";

/**
 * A sparse matrix by columns: feature f has `places[starts[f] .. starts[f + 1]]`, ascending, and `values` beside them.
 */
export interface FeatureActivations {
  readonly features: number;
  /** Number of tokens examined. */
  readonly tokens: number;
  /** [F + 1] */
  readonly starts: Uint32Array;
  /** [K] token numbers */
  readonly places: Uint32Array;
  /** [K] */
  readonly values: Float32Array;
}

/** Activations as parallel arrays: feature, token number and value. */
export interface CollectedActivations {
  readonly columns: Uint32Array<ArrayBuffer>;
  readonly places: Uint32Array<ArrayBuffer>;
  readonly values: Float32Array<ArrayBuffer>;
}

/** Collects the positive entries of dense rows. Rows must come in the order of their places. */
export class ActivationCollector {
  readonly #features: number;
  readonly #counts: Uint32Array;
  #columns = new Uint32Array(1 << 16);
  #places = new Uint32Array(1 << 16);
  #values = new Float32Array(1 << 16);
  #size = 0;

  constructor(features: number) {
    this.#features = features;
    this.#counts = new Uint32Array(features);
  }

  /** Row `row` of `rowsNF` is token number `place`. */
  add(rowsNF: Float32Array, row: number, place: number): void {
    const F = this.#features;
    if (this.#size + F > this.#values.length) this.#grow();
    let size = this.#size;
    const first = row * F;
    for (let f = 0; f < F; f++) {
      const value = rowsNF[first + f]!;
      if (value > 0) {
        this.#columns[size] = f;
        this.#places[size] = place;
        this.#values[size] = value;
        this.#counts[f]! += 1;
        size++;
      }
    }
    this.#size = size;
  }

  /** Views of the activations so far, for a checkpoint. */
  captured(): CollectedActivations {
    const size = this.#size;
    return {
      columns: this.#columns.subarray(0, size),
      places: this.#places.subarray(0, size),
      values: this.#values.subarray(0, size),
    };
  }

  /** Resumes from what was captured; takes ownership of the arrays. */
  restore({ columns, places, values }: CollectedActivations): void {
    invariant(
      columns.length === values.length && places.length === values.length,
      `activations in ${columns.length} columns, ${places.length} places and ${values.length} values do not belong together`,
    );
    this.#columns = columns;
    this.#places = places;
    this.#values = values;
    this.#size = values.length;
    this.#counts.fill(0);
    for (let k = 0; k < columns.length; k++) {
      invariant(columns[k]! < this.#features, `feature ${columns[k]!} is not one of ${this.#features}`);
      this.#counts[columns[k]!]! += 1;
    }
  }

  finish(tokens: number): FeatureActivations {
    const F = this.#features;
    const starts = new Uint32Array(F + 1);
    for (let f = 0; f < F; f++) starts[f + 1] = starts[f]! + this.#counts[f]!;
    const next = starts.slice(0, F);
    const places = new Uint32Array(this.#size);
    const values = new Float32Array(this.#size);
    for (let k = 0; k < this.#size; k++) {
      const at = next[this.#columns[k]!]!++;
      places[at] = this.#places[k]!;
      values[at] = this.#values[k]!;
    }
    return { features: F, tokens, starts, places, values };
  }

  #grow(): void {
    const length = 2 * this.#values.length + this.#features;
    const grown = <T extends Uint32Array | Float32Array>(bigger: T, old: T): T => {
      bigger.set(old);
      return bigger;
    };
    this.#columns = grown(new Uint32Array(length), this.#columns);
    this.#places = grown(new Uint32Array(length), this.#places);
    this.#values = grown(new Float32Array(length), this.#values);
  }
}

/** Summary of one feature's activations. */
export interface FeatureStatistics {
  readonly active: number;
  readonly max: number;
  /** Over active tokens; 0 for a dead feature. */
  readonly mean: number;
  /** Activations in equal bins from 0 to `max`. */
  readonly histogram: Uint32Array;
}

export function statisticsOf({ starts, values }: FeatureActivations, feature: number, bins: number): FeatureStatistics {
  const [from, to] = [starts[feature]!, starts[feature + 1]!];
  let [max, total] = [0, 0];
  for (let k = from; k < to; k++) {
    const value = values[k]!;
    if (value > max) max = value;
    total += value;
  }
  const histogram = new Uint32Array(bins);
  for (let k = from; k < to; k++) histogram[Math.min(bins - 1, Math.floor((bins * values[k]!) / max))]! += 1;
  return { active: to - from, max, mean: to === from ? 0 : total / (to - from), histogram };
}

/** The strongest activation in each window that has any: its window, place and value, in ascending order of windows. */
export interface WindowPeaks {
  readonly windows: Uint32Array;
  readonly places: Uint32Array;
  readonly values: Float32Array;
}

/** The peaks of a feature; `windowOf` gives each token's window, and the windows are consecutive ranges of tokens. */
export function peaksOf(
  { starts, places, values }: FeatureActivations,
  feature: number,
  windowOf: Uint32Array,
): WindowPeaks {
  const [from, to] = [starts[feature]!, starts[feature + 1]!];
  const found = {
    windows: new Uint32Array(to - from),
    places: new Uint32Array(to - from),
    values: new Float32Array(to - from),
  };
  let count = 0;
  for (let k = from; k < to; k++) {
    const window = windowOf[places[k]!]!;
    if (count === 0 || found.windows[count - 1] !== window) {
      found.windows[count] = window;
      found.places[count] = places[k]!;
      found.values[count] = values[k]!;
      count++;
    } else if (values[k]! > found.values[count - 1]!) {
      found.places[count - 1] = places[k]!;
      found.values[count - 1] = values[k]!;
    }
  }
  return {
    windows: found.windows.subarray(0, count),
    places: found.places.subarray(0, count),
    values: found.values.subarray(0, count),
  };
}

/** A feature's activations on the tokens from `first` up to, but not including, `end`. */
export function activationsIn(
  { starts, places, values }: FeatureActivations,
  feature: number,
  [first, end]: readonly [number, number],
): Float32Array {
  const result = new Float32Array(end - first);
  // Binary search for the first place that is not below `first`.
  let [low, high] = [starts[feature]!, starts[feature + 1]!];
  const last = high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (places[middle]! < first) low = middle + 1;
    else high = middle;
  }
  for (let k = low; k < last && places[k]! < end; k++) result[places[k]! - first] = values[k]!;
  return result;
}
