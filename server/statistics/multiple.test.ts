import fc from "fast-check";
import { expect, test } from "vitest";
import { holmAdjusted } from "./multiple.ts";

test("is Holm's own: worked by hand, in the order given", () => {
  const adjusted = holmAdjusted([0.04, 0.01, null, 0.03, 0.005]);
  for (const [at, expected] of [0.06, 0.03, undefined, 0.06, 0.02].entries()) {
    if (expected === undefined) expect(adjusted[at]).toBeNull();
    else expect(adjusted[at]).toBeCloseTo(expected, 12);
  }
  expect(holmAdjusted([0.6, 0.7])).toEqual([1, 1]);
  expect(holmAdjusted([])).toEqual([]);
});

/** All hypotheses in a set are rejected together where Bonferroni over the set rejects one of them (closed testing, Marcus et al. 1976). */
function closedTest(ps: readonly number[], at: number): number {
  let largest = 0;
  for (let set = 1; set < 1 << ps.length; set++) {
    if ((set & (1 << at)) === 0) continue;
    const members = ps.filter((_, i) => (set & (1 << i)) !== 0);
    largest = Math.max(largest, Math.min(1, members.length * Math.min(...members)));
  }
  return largest;
}

test("equals the closed test over all sets of hypotheses", () => {
  const p = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(p, { minLength: 1, maxLength: 7 }), (ps) => {
      for (const [at, adjusted] of holmAdjusted(ps).entries()) expect(adjusted).toBeCloseTo(closedTest(ps, at), 12);
    }),
  );
});
