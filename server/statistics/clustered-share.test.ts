import { describe, expect, it } from "vitest";
import { clusteredShare } from "./clustered-share.ts";
import { wilsonInterval } from "./wilson.ts";

describe("a share with rows in groups", () => {
  const values = [1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0];

  it("is Wilson's where every row is a group of its own", () => {
    const found = clusteredShare(values, [...values.keys()]);
    const expected = wilsonInterval(8, 12);
    for (const end of ["proportion", "low", "high"] as const) expect(found[end]).toBeCloseTo(expected[end], 12);
  });

  it("does not get narrower by repeating the rows of every group", () => {
    const once = clusteredShare(values, [...values.keys()]);
    const thrice = clusteredShare(
      values.flatMap((value) => [value, value, value]),
      [...values.keys()].flatMap((group) => [group, group, group]),
    );
    for (const end of ["proportion", "low", "high"] as const) expect(thrice[end]).toBeCloseTo(once[end], 12);
  });

  it("counts groups where all rows agree", () => {
    const all = clusteredShare([1, 1, 1, 1, 1, 1], ["a", "a", "b", "b", "c", "c"]);
    expect(all).toEqual(wilsonInterval(3, 3));
    expect(all.low).toBeLessThan(0.5);
    expect(clusteredShare([0, 0], ["a", "b"])).toEqual(wilsonInterval(0, 2));
  });

  it("counts rows at most, where groups balance and where rows are halves", () => {
    expect(clusteredShare([1, 0, 1, 0], ["a", "a", "b", "b"])).toEqual(wilsonInterval(2, 4));
    const half = clusteredShare([0.5, 1, 0.5, 0], [0, 1, 2, 3]);
    expect(half).toEqual(wilsonInterval(2, 4));
  });

  it("knows nothing without rows", () => {
    expect(clusteredShare([], [])).toMatchObject({ low: 0, high: 1 });
  });
});
