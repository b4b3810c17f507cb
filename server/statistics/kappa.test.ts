import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { expectClose } from "../../test/unit/statistics/fixture.ts";
import { quadraticKappa } from "./kappa.ts";

const grades = z.array(z.int());
const { cases } = z
  .object({ cases: z.array(z.object({ a: grades, b: grades, kappa: z.number().nullable() })).min(30) })
  .parse(JSON.parse(readFileSync(new URL("../../test/fixtures/statistics/kappa.json", import.meta.url), "utf8")));

test.each(cases.map((stored) => ({ ...stored, items: stored.a.length })))(
  "equals scikit-learn: $kappa of $items items",
  ({ a, b, kappa }) => {
    for (const found of [quadraticKappa(a, b), quadraticKappa(b, a)]) {
      if (kappa === null) expect(found).toBeNull();
      else expectClose(found ?? Number.NaN, kappa, 1e-12);
    }
  },
);

test("has no value where nothing varies, and refuses what is no pair of gradings", () => {
  expect(quadraticKappa([], [])).toBeNull();
  expect(quadraticKappa([3, 3], [3, 3])).toBeNull();
  expect(() => quadraticKappa([1, 2], [1])).toThrow(/got 2 and 1/);
  expect(() => quadraticKappa([1.5], [1])).toThrow(/got 1.5 and 1/);
});
