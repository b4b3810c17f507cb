import { expect, it } from "vitest";
import type { ReadPassage } from "../../server/protocol/lens.ts";
import { meanOver, meansByGroup, meansBySentence } from "./means.ts";

/** A passage at an offset whose words have these values. */
function passageOf(
  text: string,
  values: readonly (number | null)[],
  offset = 0,
  unfamiliar: number[] = [],
): ReadPassage {
  const words = [...text.matchAll(/\w+/g)];
  const starts = words.map(({ index }) => offset + index);
  const ends = words.map(({ index, 0: word }) => offset + index + word.length);
  return { start: offset, end: offset + text.length, tokens: { starts, ends, values: [...values], unfamiliar } };
}

it("a mean is over what has a value, and leaves out what is faded", () => {
  const passage = passageOf("good bad none far", [3, -1, null, 10], 0, [3]);
  expect(meanOver([passage], true)).toEqual({ start: 0, end: 17, mean: 1, count: 2 });
  expect(meanOver([passage], false)).toMatchObject({ mean: 4, count: 3 });
  expect(meanOver([passageOf("none", [null])], true)).toMatchObject({ mean: null, count: 0 });
});

it("records have one mean, whose fields are read apart", () => {
  const passages = [passageOf("good film", [2, 0], 10), passageOf("bad", [-4], 30), passageOf("so so", [1, 1], 100)];
  const means = meansByGroup(passages, ({ start }) => Number(start >= 100), true);
  expect(means).toEqual([
    { start: 10, end: 33, mean: -2 / 3, count: 3 },
    { start: 100, end: 105, mean: 1, count: 2 },
  ]);
});

it("sentences have a mean each, at their place in the document", () => {
  const text = "A good film. Bad end! …";
  const means = meansBySentence(passageOf(text, [0, 3, 0, -2, 0], 50), text, true);
  expect(means).toEqual([
    { start: 50, end: 62, mean: 1, count: 3 },
    { start: 63, end: 71, mean: -1, count: 2 },
  ]);
});
