import { expect, test } from "vitest";
import { linesOf } from "./lines.ts";

async function* given(...chunks: string[]): AsyncGenerator<string> {
  yield* chunks;
}

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line);
  return found;
}

test("lines end at \\n and \\r\\n alone, wherever the chunks are cut", async () => {
  const text = "a\u2028b\r\n\nc\u2029\u0085\rd\ne";
  const lines = ["a\u2028b", "", "c\u2029\u0085\rd", "e"];
  expect(await all(linesOf(given(text)))).toEqual(lines);
  expect(await all(linesOf(given(...text)))).toEqual(lines);
  expect(await all(linesOf(given(text, "\n")))).toEqual(lines);
  expect(await all(linesOf(given()))).toEqual([]);
});
