import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { windowsOf } from "./windows.ts";

describe("windows of tokens", () => {
  it("keep every token once, in order, read no more than fits, and see the overlap before what they keep", () => {
    const sizes = fc
      .tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 64 }), fc.integer({ min: 0, max: 63 }))
      .filter(([, size, overlap]) => overlap < size);
    fc.assert(
      fc.property(sizes, ([count, size, overlap]) => {
        let kept = 0;
        for (const { from, keep, to } of windowsOf(count, size, overlap)) {
          expect(keep).toBe(kept);
          expect(to).toBeGreaterThan(keep);
          expect(to - from).toBeLessThanOrEqual(size);
          expect(keep - from).toBe(Math.min(overlap, keep));
          kept = to;
        }
        expect(kept).toBe(count);
      }),
    );
  });

  it("are one where the text fits", () => {
    expect(windowsOf(10, 10, 3)).toEqual([{ from: 0, keep: 0, to: 10 }]);
    expect(windowsOf(11, 10, 3)).toEqual([
      { from: 0, keep: 0, to: 10 },
      { from: 7, keep: 10, to: 11 },
    ]);
  });
});
