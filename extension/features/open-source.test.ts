import { expect, it } from "vitest";
import { stretchOf } from "./open-source.ts";

const selected = (row: string, example: string): string | undefined => {
  const found = stretchOf(row, example);
  return found === undefined ? undefined : row.slice(found.start, found.end);
};

it.each([
  ['{"text":"a good film"}', " good film", "good film"],
  ['{"text":"he said \\"no\\".\\nThen"}', 'said "no".\nThen', 'said \\"no\\".\\nThen'],
  ['{"text":"caf\\u00e9 noir"}', "café noir", "caf\\u00e9 noir"],
  ['1,"he said ""no"" twice"', 'said "no"', 'said ""no""'],
  ["plain", "other", undefined],
  ["plain", " ", undefined],
])("in %s the example %j is found as the file writes it", (row, example, written) => {
  expect(selected(row, example)).toBe(written);
});
