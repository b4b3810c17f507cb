import { expect, test } from "vitest";
import { csvCell } from "./csv.ts";

test("a spreadsheet takes no cell for a formula", () => {
  for (const text of ["=1+1", "+1", "-1", "@x", "\tx", "\rx"]) expect(csvCell(text)).toMatch(/^"?'/);
  expect(csvCell('a "b", c')).toBe('"a ""b"", c"');
  expect(csvCell("a b")).toBe("a b");
});

test("numbers and truths stay as they are, and nothing is an empty cell", () => {
  expect([-1.5, true, null].map(csvCell)).toEqual(["-1.5", "true", ""]);
});
