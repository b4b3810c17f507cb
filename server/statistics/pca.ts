import { invariant } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import { addScaled, dot, shiftedProduct, shiftedScatterProduct } from "./linear-algebra.loops.ts";
import { meansOf, type RowMatrix } from "./linear-algebra.ts";

/** The directions in which rows of features vary most. */
export interface PrincipalComponents {
  readonly means: Float64Array;
  /**
   * Orthogonal unit vectors in descending order of variance; the element of largest absolute value in each is
   * positive.
   */
  readonly components: readonly Float64Array[];
  /** The variance (over n - 1) along each. */
  readonly variances: Float64Array;
  /** The variances as shares of the total; NaN if all rows are equal. */
  readonly shares: Float64Array;
  /** Whether every component meets the tolerance (residual below 1e-10 of the largest variance). */
  readonly converged: boolean;
}

/**
 * The first `count` principal components of n rows of d features, equal to `sklearn.decomposition.PCA`, signs
 * included (which are undetermined where two elements tie for the largest). Uses power iteration with deflation,
 * without forming the covariance matrix: multiplies a vector by it until its direction converges, then finds the
 * next one orthogonal to those found. The start has a fixed seed, so equal features give equal components.
 */
export function principalComponents(features: RowMatrix, count: number): PrincipalComponents {
  const { data, rows, columns } = features;
  invariant(rows >= 2, `components need at least two rows, got ${rows}`);
  invariant(
    Number.isInteger(count) && count >= 1 && count <= Math.min(rows, columns),
    `between 1 and ${Math.min(rows, columns)} components can be had from ${rows} x ${columns} features, got ${count}`,
  );
  const means = meansOf(features);
  const covariance = (v: Float64Array) => shiftedScatterProduct(data, means, v).map((value) => value / (rows - 1));
  const { found, converged } = leadingEigenpairs(covariance, columns, count);
  const variances = Float64Array.from(found, ({ value }) => Math.max(0, value));
  const total = totalVariance(features, means);
  const components = found.map(({ vector }) => withPositivePeak(vector));
  return { means, components, variances, shares: variances.map((value) => value / total), converged };
}

/** The coordinates of every row along every component: n rows of `components.length`. */
export function project({ means, components }: PrincipalComponents, features: RowMatrix): Float64Array {
  const columns = components.map((component) => shiftedProduct(features.data, means, component));
  const scores = new Float64Array(features.rows * columns.length);
  for (const [k, column] of columns.entries())
    for (const [row, score] of column.entries()) scores[row * columns.length + k] = score;
  return scores;
}

type Operator = (v: Float64Array) => Float64Array;

interface Eigenpair {
  readonly value: number;
  readonly vector: Float64Array;
}

/** Largest residual of a component, as a share of the largest variance. */
const TOLERANCE = 1e-10;
const MAX_ROUNDS = 1000;

/**
 * Finds one eigenpair after the other, each by multiplying a vector orthogonal to the earlier ones until its
 * direction converges.
 */
function leadingEigenpairs(apply: Operator, d: number, count: number): { found: Eigenpair[]; converged: boolean } {
  const random = Random.fromSeed(0);
  const found: Eigenpair[] = [];
  let converged = true;
  for (let at = 0; at < count; at++) {
    let vector = unit(
      outside(
        Float64Array.from({ length: d }, () => random.normal()),
        found,
      ),
    );
    for (let round = 1; ; round++) {
      const image = outside(apply(vector), found);
      const value = dot(vector, image);
      const error = Float64Array.from(image);
      addScaled(error, -value, vector);
      const settled = Math.sqrt(dot(error, error)) <= TOLERANCE * Math.max(0, found[0]?.value ?? value);
      if (settled || round === MAX_ROUNDS) {
        found.push({ value, vector });
        converged &&= settled;
        break;
      }
      vector = unit(image);
    }
  }
  return { found: found.toSorted((a, b) => b.value - a.value), converged };
}

/** The component of a vector orthogonal to the eigenvectors. */
function outside(vector: Float64Array, found: readonly Eigenpair[]): Float64Array {
  const rest = Float64Array.from(vector);
  for (const known of [...found, ...found]) addScaled(rest, -dot(known.vector, rest), known.vector);
  return rest;
}

/** Scales a vector to length one; a zero vector stays zero. */
function unit(vector: Float64Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector));
  return length > 0 ? vector.map((value) => value / length) : vector;
}

function withPositivePeak(vector: Float64Array): Float64Array {
  const peak = vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return peak < 0 ? vector.map((value) => -value) : vector;
}

function totalVariance({ data, rows, columns }: RowMatrix, means: Float64Array): number {
  let total = 0;
  for (const [at, value] of data.entries()) total += (value - (means[at % columns] ?? Number.NaN)) ** 2;
  return total / (rows - 1);
}
