import { invariant } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import { symmetricEigen } from "./eigen.loops.ts";
import { addScaled, dot, shiftedProduct, shiftedScatterProduct } from "./linear-algebra.loops.ts";
import { meansOf, type RowMatrix } from "./linear-algebra.ts";

/** The directions in which rows of features vary most. */
export interface PrincipalComponents {
  readonly means: Float64Array;
  /** Orthogonal unit vectors, the one of largest variance first; the element of largest size in each is positive. */
  readonly components: readonly Float64Array[];
  /** The variance (over n - 1) along each. */
  readonly variances: Float64Array;
  /** The same as shares of the total variance; NaN when all rows are equal. */
  readonly shares: Float64Array;
  /** Whether every component meets the tolerance (residual below 1e-10 of the largest variance). */
  readonly converged: boolean;
}

/**
 * The first `count` principal components of n rows of d features, equal to `sklearn.decomposition.PCA`, signs included
 * (which are undetermined where two elements tie for the largest). The covariance matrix is never formed: blocks of vectors
 * are multiplied by it several times, and the best combinations of all of them are kept for the next round (block Lanczos
 * with thick restarts; Wu and Simon 2000, doi:10.1137/S0895479898334605). A fixed seed starts it, so equal features give
 * equal components.
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

/** A vector and its product with the operator. */
interface Image {
  readonly vector: Float64Array;
  readonly image: Float64Array;
}

interface Eigenpair extends Image {
  readonly value: number;
}

/** Largest residual of a component, as a share of the largest variance. */
const TOLERANCE = 1e-10;
const MAX_ROUNDS = 200;
/** Vectors in a block beyond those asked for; times a block is multiplied in a round; blocks kept for the next round. */
const SPARE = 1;
const POWERS = 8;
const KEPT = 8;

function leadingEigenpairs(apply: Operator, d: number, count: number): { found: Eigenpair[]; converged: boolean } {
  const random = Random.fromSeed(0);
  const width = Math.min(d, count + SPARE);
  let block: Float64Array[] = Array.from({ length: width }, () => new Float64Array(d).map(() => random.normal()));
  let basis: Image[] = [];
  for (let round = 1; ; round++) {
    extend(basis, apply, block, Math.min(d, basis.length + width * POWERS));
    const pairs = rayleighRitz(basis, Math.min(basis.length, KEPT * width));
    const found = pairs.slice(0, count);
    const largest = Math.max(0, found[0]?.value ?? 0);
    block = pairs.slice(0, width).map(residual);
    const converged = block.slice(0, count).every((error) => Math.sqrt(dot(error, error)) <= TOLERANCE * largest);
    if (converged || round === MAX_ROUNDS) return { found, converged };
    basis = pairs;
  }
}

/** Extends an orthonormal basis by the block and its products with the operator, until it has `size` vectors or nothing new. */
function extend(basis: Image[], apply: Operator, block: readonly Float64Array[], size: number): void {
  let next = block;
  while (next.length > 0 && basis.length < size) {
    const before = basis.length;
    for (const candidate of next) {
      const vector = basis.length < size ? orthogonalUnit(candidate, basis) : undefined;
      if (vector !== undefined) basis.push({ vector, image: apply(vector) });
    }
    next = basis.slice(before).map(({ image }) => image);
  }
}

/** The part of a vector outside the span of the basis, of unit length; undefined when nothing but rounding is left. */
function orthogonalUnit(vector: Float64Array, basis: readonly Image[]): Float64Array | undefined {
  let unit = Float64Array.from(vector);
  for (let pass = 0; pass < 3; pass++) {
    const before = Math.sqrt(dot(unit, unit));
    for (const known of basis) addScaled(unit, -dot(known.vector, unit), known.vector);
    const length = Math.sqrt(dot(unit, unit));
    if (!(length > 1e-13 * before)) return undefined;
    unit = unit.map((value) => value / length);
  }
  return unit;
}

/** The best eigenpairs of the operator inside the span of the basis, largest value first. */
function rayleighRitz(basis: readonly Image[], count: number): Eigenpair[] {
  const m = basis.length;
  const inside = new Float64Array(m * m);
  for (const [i, { vector }] of basis.entries())
    for (const [j, { image }] of basis.slice(0, i + 1).entries())
      inside[i * m + j] = inside[j * m + i] = dot(vector, image);
  const { values, vectors } = symmetricEigen(inside, m);
  return Array.from(values.subarray(0, count), (value, k) => {
    const mix = vectors.subarray(k * m, (k + 1) * m);
    const vector = combination(
      basis.map((known) => known.vector),
      mix,
    );
    const image = combination(
      basis.map((known) => known.image),
      mix,
    );
    return { value, vector, image };
  });
}

/** How far the operator's product is from value times vector. */
function residual({ value, vector, image }: Eigenpair): Float64Array {
  const error = Float64Array.from(image);
  addScaled(error, -value, vector);
  return error;
}

function combination(vectors: readonly Float64Array[], mix: Float64Array): Float64Array {
  const result = new Float64Array(vectors[0]?.length ?? 0);
  for (const [i, vector] of vectors.entries()) addScaled(result, mix[i] ?? 0, vector);
  return result;
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
