import { expect, it } from "vitest";
import { meanInterval } from "./mean-interval.ts";

it("the interval is 1.96 standard errors on either side", () => {
  // numpy: mean 4, std(ddof=1) 2.58198889747161, 1.959963984540054 * std / sqrt(4) = 2.530302624...
  const { count, mean, sd, low, high } = meanInterval([1, 3, 5, 7]);
  expect([count, mean]).toEqual([4, 4]);
  expect(sd).toBeCloseTo(2.58198889747161, 12);
  expect(high - mean).toBeCloseTo(2.530302624, 8);
  expect(mean - low).toBeCloseTo(high - mean, 12);
});

it("one value has no spread, none has nothing", () => {
  expect(meanInterval([2])).toEqual({ count: 1, mean: 2, sd: 0, low: 2, high: 2 });
  expect(meanInterval([]).mean).toBeNaN();
});
