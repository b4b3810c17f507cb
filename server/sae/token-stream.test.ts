import { describe, expect, test } from "vitest";
import { Random } from "../common/random.ts";
import { type StreamConfig, TooFewTokensError, tokenStream } from "./token-stream.ts";

const config: StreamConfig = {
  batchTokens: 64,
  epochs: 2,
  maxTokens: null,
  contextLength: 20,
  maskPadding: true,
  shuffle: true,
  bufferTokens: 1000,
};
/** 0 to 29 tokens; one text in thirty is empty, a third is cut to the context. */
const lengths = Array.from({ length: 120 }, (_, text) => (text * 7) % 30);
const root = Random.fromSeed(5);

describe("the order of tokens", () => {
  test("is a pure function of root and place: any chunk can be made alone, in any order", () => {
    const stream = tokenStream(lengths, config, root);
    const places = Array.from({ length: stream.steps }, (_, step) => stream.placeOf(step));
    const inOrder = places.map((place) => stream.chunk(place));
    const again = tokenStream(lengths, config, Random.fromState(root.state));
    for (const [at, place] of [...places.entries()].toReversed()) expect(again.chunk(place)).toEqual(inOrder[at]);
    const other = tokenStream(lengths, config, Random.fromSeed(6));
    expect(other.chunk({ epoch: 0, chunk: 0 })).not.toEqual(inOrder[0]);
  });

  test("gives every chunk's tokens at most once an epoch, never padding, and drops less than a batch a chunk", () => {
    const stream = tokenStream(lengths, config, root);
    const epochs = [0, 1].map((epoch) => {
      const seen = new Set<string>();
      let left = 0;
      for (const chunk of chunksOf(stream, epoch)) {
        const { passes, rows } = stream.chunk({ epoch, chunk });
        expect(passes.length).toBeLessThanOrEqual(stream.passesPerChunk);
        expect(rows.length % stream.N).toBe(0);
        const real = passes.flat().reduce((total, text) => total + Math.min(20, lengths[text] ?? 0), 0);
        expect(real - rows.length).toBeLessThan(stream.N);
        for (const row of rows) {
          const { text, token } = tokenOf(stream, passes, row);
          expect(token).toBeLessThan(Math.min(20, lengths[text] ?? 0));
          seen.add(`${text} ${token}`);
        }
        left += rows.length;
      }
      expect(seen.size).toBe(left);
      return [...seen];
    });
    expect(epochs[0]?.length).toBeGreaterThan(1000);
    expect(epochs[1]).not.toEqual(epochs[0]);
  });

  test("mixes the tokens of a chunk: neighbours in a step are seldom neighbours in a text", () => {
    const stream = tokenStream(lengths, config, root);
    const { rows } = stream.chunk({ epoch: 0, chunk: 0 });
    const together = rows.filter((row, at) => row === (rows[at - 1] ?? -2) + 1);
    expect(together.length / rows.length).toBeLessThan(0.05);
  });

  test("unshuffled, is the texts' own", () => {
    const stream = tokenStream(lengths, { ...config, shuffle: false }, root);
    const { passes, rows } = stream.chunk({ epoch: 1, chunk: 0 });
    expect(passes.flat()).toEqual(passes.flat().map((_, at) => at));
    const places = [...rows].map((row) => tokenOf(stream, passes, row));
    expect(places.slice(0, 9)).toEqual([
      ...Array.from({ length: 7 }, (_, token) => ({ text: 1, token })),
      { text: 2, token: 0 },
      { text: 2, token: 1 },
    ]);
  });

  test("with padding, takes each text up to the longest of its pass", () => {
    const stream = tokenStream([3, 5, 1, 2], { ...config, maskPadding: false, shuffle: false, batchTokens: 4 }, root);
    expect([stream.B, stream.T]).toEqual([4, 5]);
    expect([...stream.chunk({ epoch: 0, chunk: 0 }).rows]).toEqual(Array.from({ length: 20 }, (_, row) => row));
    const masked = tokenStream([3, 5, 1, 2], { ...config, shuffle: false, batchTokens: 4 }, root);
    expect([...masked.chunk({ epoch: 0, chunk: 0 }).rows]).toEqual([0, 1, 2, 5, 6, 7, 8, 9]);
  });

  test("ends after so many tokens, and says when there are too few for a step", () => {
    const whole = tokenStream(lengths, config, root).steps;
    expect(tokenStream(lengths, { ...config, maxTokens: 300 }, root).steps).toBe(5);
    expect(tokenStream(lengths, { ...config, maxTokens: 1e9 }, root).steps).toBe(whole);
    expect(() => tokenStream([10, 12], config, root)).toThrow(TooFewTokensError);
    expect(() => tokenStream([10, 12], config, root)).toThrow(/has 22 tokens, and one step of training takes 64/);
    expect(() => tokenStream(lengths, config, root).placeOf(whole)).toThrow(RangeError);
  });
});

function chunksOf(stream: ReturnType<typeof tokenStream>, epoch: number): number[] {
  const places = Array.from({ length: stream.steps }, (_, step) => stream.placeOf(step));
  const chunks = new Set(places.filter((place) => place.epoch === epoch).map(({ chunk }) => chunk));
  expect(chunks.size).toBeGreaterThan(1);
  return [...chunks];
}

function tokenOf(
  { B, T }: { B: number; T: number },
  passes: readonly (readonly number[])[],
  row: number,
): { text: number; token: number } {
  return { text: passes[Math.floor(row / (B * T))]?.[Math.floor(row / T) % B] ?? -1, token: row % T };
}
