import { invariant } from "../common/errors.ts";

/**
 * The special functions behind the p-values, to about 1e-13 relative: normal and Student tails, the normal quantile, the
 * regularised incomplete beta function. Formulas: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov,
 * by section.
 */

/** P(|Z| >= |z|) for a standard normal Z. */
export function normalTwoSidedP(z: number): number {
  return complementaryError(Math.abs(z) * Math.SQRT1_2);
}

/** The quantile: the z below which a share `p` (between 0 and 1) of the standard normal distribution lies. */
export function normalQuantile(p: number): number {
  invariant(p > 0 && p < 1, `a normal quantile needs a share between 0 and 1, got ${p}`);
  if (p > 0.5) return -normalQuantile(1 - p);
  let [low, high] = [-39, 0];
  for (let middle = low / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (complementaryError(-middle * Math.SQRT1_2) / 2 < p) low = middle;
    else high = middle;
  }
  return high;
}

/** P(|T| >= |t|) for Student's t with `dof` degrees of freedom; NaN for dof <= 0. */
export function studentTwoSidedP(t: number, dof: number): number {
  if (!(dof > 0) || Number.isNaN(t)) return Number.NaN;
  if (!Number.isFinite(t)) return 0;
  return regularisedBeta(dof / (dof + t * t), (t * t) / (dof + t * t), dof / 2, 0.5);
}

/**
 * The regularised incomplete beta function I_x(a, b) for a, b > 0 (DLMF 8.17). `complement` is 1 - x, a parameter
 * because a caller often knows it more exactly than the subtraction gives it.
 */
export function regularisedBeta(x: number, complement: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (complement <= 0) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - regularisedBeta(complement, x, b, a);
  const logX = x < 0.5 ? Math.log(x) : Math.log1p(-complement);
  const logComplement = complement < 0.5 ? Math.log(complement) : Math.log1p(-x);
  return (Math.exp(a * logX + b * logComplement - logBeta(a, b)) / a) * betaFraction(x, a, b);
}

/** erfc(x) = 1 - erf(x): the series of DLMF 7.6.2 for small |x|, the continued fraction 7.9.2 beyond. */
export function complementaryError(x: number): number {
  if (x < 0) return 2 - complementaryError(-x);
  if (x < 2) {
    let term = x;
    let sum = x;
    for (let n = 1; term > sum * 1e-18; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 100; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

/** The continued fraction of DLMF 8.17.22, by Lentz's method; converges fast for x below (a + 1)/(a + b + 2). */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const apart = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let result = 1;
  let upper = 1;
  let lower = 0;
  for (let k = 1; k < 100_000; k++) {
    const m = Math.floor(k / 2);
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    const step = k % 2 === 0 ? even : odd;
    lower = 1 / apart(1 + step * lower);
    upper = apart(1 + step / upper);
    result *= upper * lower;
    if (Math.abs(upper * lower - 1) < 1e-16) break;
  }
  return 1 / result;
}

/** ln B(a, b); the two large logarithms of gamma are subtracted analytically, which keeps the digits for large a or b. */
function logBeta(a: number, b: number): number {
  const [small, large] = a < b ? [a, b] : [b, a];
  return logGamma(small) - logGammaRatio(large, small);
}

/** ln Γ(x) for x > 0: Stirling's series (DLMF 5.11.1), after shifting x up to where it is exact. */
function logGamma(x: number): number {
  let shift = 0;
  let shifted = x;
  for (; shifted < SERIES_FROM; shifted++) shift += Math.log(shifted);
  return (shifted - 0.5) * Math.log(shifted) - shifted + Math.log(2 * Math.PI) / 2 + stirlingTail(shifted) - shift;
}

/** ln Γ(x + step) - ln Γ(x) for x > 0, step > 0. */
function logGammaRatio(x: number, step: number): number {
  let shift = 0;
  let base = x;
  for (; base < SERIES_FROM; base++) shift += Math.log1p(step / base);
  const grown = (base - 0.5) * Math.log1p(step / base) + step * Math.log(base + step) - step;
  return grown + stirlingTail(base + step) - stirlingTail(base) - shift;
}

const SERIES_FROM = 16;

/** The sum of B_2k / (2k(2k-1) x^(2k-1)) in Stirling's series. */
function stirlingTail(x: number): number {
  const s = 1 / (x * x);
  return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - (s * 691) / 360360))))) / x;
}
