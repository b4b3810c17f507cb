import { expect, test } from "vitest";
import { isolated } from "./isolated.ts";

test.each([
  ["great", "great"],
  ["ح", "\u2068ح\u2069"],
  ["שלום", "\u2068שלום\u2069"],
  ["−2.72", "−2.72"],
])("%s stands in a line of ours as %j", (text, shown) => {
  expect(isolated(text)).toBe(shown);
});
