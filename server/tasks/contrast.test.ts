import { expect, it } from "vitest";
import { contrastSchema, spansOf } from "./contrast.ts";

const span = (text: string) => ({ text, start: 0, end: text.length });
const contrast = (name: string, neutral?: string) => ({
  id: name,
  source: "made up",
  group: name,
  positive: span(`${name} good`),
  ...(neutral === undefined ? {} : { neutral: span(neutral) }),
  negative: span(`${name} bad`),
});

it("spans come in the order of features: liked, disliked, then the indifferent ones that there are", () => {
  const spans = spansOf([contrast("a", "meh"), contrast("b"), contrast("c", "so so")]);
  expect(spans.map(({ text }) => text)).toEqual([
    "a good",
    "b good",
    "c good",
    "a bad",
    "b bad",
    "c bad",
    "meh",
    "so so",
  ]);
});

it("a contrast's spans lie inside their texts", () => {
  expect(contrastSchema.safeParse(contrast("a", "meh")).success).toBe(true);
  expect(contrastSchema.safeParse({ ...contrast("a"), positive: { text: "ab", start: 1, end: 3 } }).success).toBe(
    false,
  );
  expect(contrastSchema.safeParse({ ...contrast("a"), negative: { text: "ab", start: 1, end: 1 } }).success).toBe(
    false,
  );
});
