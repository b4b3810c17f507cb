import { expect, test } from "vitest";
import { contrastSchema } from "../contrast.ts";
import { type AnsweredPair, pairContrasts } from "./pair-contrasts.ts";

/** Pairs to `prompts` prompts in turn, whose answers grow longer. */
function pairsOf(count: number, prompts: number): AnsweredPair[] {
  return Array.from({ length: count }, (_, at) => ({
    id: `pairs.jsonl/${at}`,
    group: `g${at % prompts}`,
    prompt: `Question ${at % prompts}?`,
    chosen: ` yes ${"x".repeat(10 * at)}${at % prompts}`,
    rejected: ` no ${"y".repeat(10 * at)}${at % prompts}`,
  }));
}

const answerOf = ({ text, start, end }: { text: string; start: number; end: number }) => text.slice(start, end);

test("chosen is positive and rejected negative, each after its prompt; the neutral answer is another prompt's and about as long", () => {
  const pairs = pairsOf(60, 20);
  const contrasts = pairContrasts(pairs, { seed: 1, limit: null });
  expect(contrasts.map(({ id }) => id)).toEqual(pairs.map(({ id }) => id));
  const answers = new Map(
    pairs.flatMap(({ group, chosen, rejected }) => [chosen, rejected].map((text) => [text, group])),
  );
  for (const [at, { prompt, chosen, rejected, group }] of pairs.entries()) {
    const contrast = contrastSchema.parse(contrasts[at]);
    expect(contrast).toEqual(contrasts[at]);
    expect([contrast.positive.text, contrast.negative.text]).toEqual([prompt + chosen, prompt + rejected]);
    expect([answerOf(contrast.positive), answerOf(contrast.negative)]).toEqual([chosen, rejected]);
    const neutral = contrast.neutral === undefined ? "" : answerOf(contrast.neutral);
    expect(contrast.neutral?.text).toBe(prompt + neutral);
    expect(answers.get(neutral)).toBeDefined();
    expect(answers.get(neutral)).not.toBe(group);
    // The eight nearest answers are of at most six neighbouring pairs.
    expect(Math.abs(neutral.length - chosen.length)).toBeLessThanOrEqual(60);
  }
});

test("a limit draws a sample that the seed decides, in the order of the file", () => {
  const pairs = pairsOf(50, 10);
  const ids = (seed: number) => pairContrasts(pairs, { seed, limit: 12 }).map(({ id }) => id);
  expect(ids(1)).toHaveLength(12);
  expect(ids(1)).toEqual(ids(1));
  expect(ids(1)).not.toEqual(ids(2));
  const places = ids(1).map((id) => pairs.findIndex((pair) => pair.id === id));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});

test("where all pairs have one prompt there is no neutral answer", () => {
  for (const contrast of pairContrasts(pairsOf(5, 1), { seed: 1, limit: null }))
    expect(contrast.neutral).toBeUndefined();
});
