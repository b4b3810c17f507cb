import { describe, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { batchNeeds, type RowShape, rowShapesFor, smallestRowShape } from "./row-shapes.ts";

const needs = (rowPlaces: number, scoredPlaces: number): RowShape => ({ rowPlaces, scoredPlaces, textPlaces: 7 });
const cost = ({ rowPlaces, scoredPlaces }: RowShape): number => 8 * rowPlaces + scoredPlaces;

describe("shapes of batches of pairs", () => {
  it("a batch needs its longest row and all of its scored tokens", () => {
    expect(batchNeeds([needs(5, 3), needs(9, 4), needs(2, 1)])).toEqual(needs(9, 8));
  });

  it("fit every batch, and save a good part of the padding of one shape", () => {
    const random = Random.fromSeed(3);
    const batches = Array.from({ length: 300 }, () => needs(250 + random.integer(130), 1000 + random.integer(500)));
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
      const { rowPlaces, scoredPlaces } = smallestRowShape(three, own);
      expect(rowPlaces).toBeGreaterThanOrEqual(own.rowPlaces);
      expect(scoredPlaces).toBeGreaterThanOrEqual(own.scoredPlaces);
      expect(three).toContainEqual(needs(rowPlaces, scoredPlaces));
    }
    expect(work(three) / exact - 1).toBeLessThan(0.6 * (work(one) / exact - 1));
  });

  it("are no more than pay for their programs", () => {
    expect(rowShapesFor([needs(10, 10), needs(100, 100)], cost, 3)).toEqual([needs(100, 100)]);
    const many = [...Array.from({ length: 20 }, () => needs(10, 10)), needs(100, 100)];
    expect(rowShapesFor(many, cost, 3)).toEqual([needs(10, 10), needs(100, 100)]);
  });
});
