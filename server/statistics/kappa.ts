import { invariant } from "../common/errors.ts";

/**
 * Cohen's kappa with quadratic weights: how far two gradings of the same items, in whole numbers, agree beyond chance
 * (Cohen 1968; scikit-learn's `cohen_kappa_score(weights="quadratic")` over all grades between the lowest and the
 * highest). 1: they are equal; 0: no more alike than by chance. Null without items, and where all grades are one.
 */
export function quadraticKappa(a: readonly number[], b: readonly number[]): number | null {
  invariant(a.length === b.length, `both gradings are of the same items, got ${a.length} and ${b.length}`);
  // The expected square of the difference of independent gradings is mean(a²) + mean(b²) - 2 mean(a) mean(b).
  let [sumA, sumB, squares, observed] = [0, 0, 0, 0];
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? Number.NaN;
    invariant(Number.isInteger(x) && Number.isInteger(y), `a grade is a whole number, got ${x} and ${y}`);
    sumA += x;
    sumB += y;
    squares += x * x + y * y;
    observed += (x - y) ** 2;
  }
  const expected = a.length * squares - 2 * sumA * sumB;
  return expected === 0 ? null : 1 - (a.length * observed) / expected;
}
