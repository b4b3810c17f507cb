import { expect, it } from "vitest";
import { BatchCursor } from "./batch-cursor.ts";

it("counts batches and their items, goes on from a saved count, and knows when all is done", () => {
  const batches = [["a", "b"], ["c"], ["d", "e", "f"]];
  const cursor = new BatchCursor(batches, ({ length }) => length);
  const seen: [string[], number][] = [];
  for (let batch = cursor.next; batch !== undefined; batch = cursor.next) {
    expect(() => cursor.requireAll()).toThrow(/before its last batch/);
    cursor.advance();
    seen.push([batch, cursor.doneItems]);
  }
  expect(seen).toEqual([
    [["a", "b"], 2],
    [["c"], 3],
    [["d", "e", "f"], 6],
  ]);
  expect(() => cursor.requireAll()).not.toThrow();
  expect(() => cursor.advance()).toThrow(/after the last/);

  const again = new BatchCursor(batches, ({ length }) => length);
  again.restore(2);
  expect([again.done, again.doneItems, again.next]).toEqual([2, 3, ["d", "e", "f"]]);
  for (const done of [-1, 4, 1.5, Number.NaN]) expect(() => again.restore(done)).toThrow(/of 3 batches cannot be done/);
  expect(again.done).toBe(2);
});
