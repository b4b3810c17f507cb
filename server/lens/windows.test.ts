import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { filledWindows, windowsOf } from "./windows.ts";

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

  it("are filled with the prefix and a quarter of a window before what is kept, until somebody stops", () => {
    const ids = Int32Array.from({ length: 20 }, (_, at) => 100 + at);
    const stop = new AbortController();
    const windows = [...filledWindows(ids, { window: 10, prefixIds: [1] }, stop.signal)];
    expect(windows.map(({ row, token }) => [row, token])).toEqual([
      [1, 0],
      [4, 9],
      [4, 15],
    ]);
    for (const { ids: own, row, token } of windows) {
      expect(own[0]).toBe(1);
      expect(own.length).toBeLessThanOrEqual(10);
      expect(own[row]).toBe(ids[token]);
    }
    const [narrow] = [...filledWindows(ids.slice(0, 3), { window: 3, prefixIds: [1] }, stop.signal)].slice(1);
    expect(narrow).toEqual({ ids: Int32Array.of(1, 101, 102), row: 2, token: 2 });
    const going = filledWindows(ids, { window: 10, prefixIds: [] }, stop.signal);
    going.next();
    stop.abort(new Error("stopped"));
    expect(() => going.next()).toThrow("stopped");
  });
});
