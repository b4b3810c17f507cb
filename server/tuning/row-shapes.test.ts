import { describe, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { batchNeeds, type RowShape, rowShapesFor, smallestRowShape } from "./row-shapes.ts";

const needs = (tokens: number, scoredPlaces: number, rowPlaces = 9): RowShape => ({
  tokens,
  rowPlaces,
  scoredPlaces,
  textPlaces: 7,
});
const cost = ({ tokens, rowPlaces, scoredPlaces }: RowShape): number => 2 * tokens + rowPlaces + scoredPlaces;

describe("shapes of batches of pairs", () => {
  it("a batch needs its longest row, all of its tokens and all scored ones", () => {
    expect(batchNeeds([needs(5, 3, 5), needs(9, 4, 9), needs(2, 1, 2)])).toEqual(needs(16, 8, 9));
  });

  it("fit every batch, and save a good part of the padding of one shape", () => {
    const random = Random.fromSeed(3);
    const length = (): number => 32 + random.integer(96);
    const pair = (): RowShape => {
      const [prompt, answers] = [length(), length() + length()];
      return needs(prompt + answers, answers, prompt + answers);
    };
    const batches = Array.from({ length: 300 }, () => batchNeeds(Array.from({ length: 8 }, pair)));
    const work = (shapes: readonly RowShape[]): number =>
      batches.reduce((sum, own) => sum + cost(smallestRowShape(shapes, own)), 0);
    const exact = batches.reduce((sum, own) => sum + cost(own), 0);
    const one = rowShapesFor(batches, cost, 1);
    const three = rowShapesFor(batches, cost, 3);
    expect(one).toHaveLength(1);
    expect(three).toHaveLength(3);
    expect(three).toEqual(three.toSorted((a, b) => cost(a) - cost(b)));
    expect(three.at(-1)).toEqual(one[0]);
    for (const own of batches) {
      const shape = smallestRowShape(three, own);
      expect(three).toContain(shape);
      expect(shape.tokens).toBeGreaterThanOrEqual(own.tokens);
      expect(shape.rowPlaces).toBeGreaterThanOrEqual(own.rowPlaces);
      expect(shape.scoredPlaces).toBeGreaterThanOrEqual(own.scoredPlaces);
    }
    expect(work(three) / exact - 1).toBeLessThan(0.6 * (work(one) / exact - 1));
  });

  it("are no more than pay for their programs", () => {
    expect(rowShapesFor([needs(10, 10), needs(100, 100)], cost, 3)).toEqual([needs(100, 100)]);
    const many = [...Array.from({ length: 20 }, () => needs(10, 10)), needs(100, 100)];
    expect(rowShapesFor(many, cost, 3)).toEqual([needs(10, 10), needs(100, 100)]);
  });
});
