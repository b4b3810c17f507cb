import { expect, test } from "vitest";
import { preferredWords } from "./preferred-words.ts";

test("words of chosen answers are above zero, words of rejected ones below, others left out", () => {
  const pairs = Array.from({ length: 40 }, (_, at) => ({
    chosen: `Sure, I can help ${at % 2 === 0 ? "today" : "now"}. Help help!`,
    rejected: at < 30 ? "No, go away now." : "No, today.",
  }));
  const words = preferredWords(pairs);
  // In all 40 chosen answers and in no rejected one: log-odds log(40.5 / 0.5) to either side.
  const z = (2 * Math.log(81)) / Math.sqrt(2 * (1 / 40.5 + 1 / 0.5));
  expect(words.get("help")).toBeCloseTo(z, 12);
  expect(words.get("no")).toBeCloseTo(-z, 12);
  // In 20 chosen answers and 30 rejected ones.
  const now = (Math.log(20.5 / 20.5) - Math.log(30.5 / 10.5)) / Math.sqrt(2 / 20.5 + 1 / 30.5 + 1 / 10.5);
  expect(Math.abs(now)).toBeLessThan(3);
  expect(words.has("now")).toBe(false);
  expect([...words.keys()].toSorted()).toEqual(["away", "can", "go", "help", "i", "no", "sure"]);
  expect(preferredWords([]).size).toBe(0);
});
