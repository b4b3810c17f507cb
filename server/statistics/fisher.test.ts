import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { expectClose } from "../../test/unit/statistics/fixture.ts";
import { fisherExactP } from "./fisher.ts";

const pair = z.tuple([z.int(), z.int()]);
const { cases } = z
  .object({ cases: z.array(z.object({ a: pair, b: pair, p: z.number() })).min(20) })
  .parse(JSON.parse(readFileSync(new URL("../../test/fixtures/statistics/fisher.json", import.meta.url), "utf8")));

test.each(cases)("equals scipy: $a against $b", ({ a, b, p }) => {
  const [first, second] = [a, b].map(([hits, of]) => ({ hits, of }));
  if (first === undefined || second === undefined) return expect.fail("a case has two groups");
  expectClose(fisherExactP(first, second), p, 1e-9);
  expectClose(fisherExactP(second, first), p, 1e-9);
});

test("an empty group says nothing, and more hits than there are is refused", () => {
  expect(fisherExactP({ hits: 0, of: 0 }, { hits: 3, of: 9 })).toBe(1);
  expect(() => fisherExactP({ hits: 4, of: 3 }, { hits: 0, of: 1 })).toThrow(/got 4 of 3/);
});
