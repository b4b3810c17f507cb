import { expect, test } from "vitest";
import { problemWith } from "./manage-runs.ts";
import { freeName } from "./names.ts";

test.each([
  ["quick", [], "quick"],
  ["quick", ["quick"], "quick-2"],
  ["quick", ["quick-2", "quick", "quick-3"], "quick-4"],
  ["a".repeat(64), ["a".repeat(64)], `${"a".repeat(62)}-2`],
])("%s beside %j is %s", (wanted, taken, name) => {
  expect(freeName(wanted, taken)).toBe(name);
});

test.each([
  ["quick-2", undefined],
  ["quick", "There is a run quick already."],
  ["Quick", /^Lower-case letters/],
  ["../up", /^Lower-case letters/],
  ["", /^Lower-case letters/],
])("a run can be called %j: %s", (name, problem) => {
  const found = problemWith(name, ["quick"]);
  if (problem === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(problem);
});
