import { expect, it } from "vitest";
import { FeatureQuery } from "../../server/protocol/features.ts";
import { FeatureOrder } from "./feature-order.ts";

/** An order over a store whose every query holds these ids, by dictionary. */
function orderOver(ids: Readonly<Record<string, readonly string[]>>) {
  const asked: FeatureQuery[] = [];
  const order = new FeatureOrder({
    neighbours: async ({ id }, query) => {
      asked.push(query);
      const list = ids[`${query.dictionary.model} ${query.dictionary.size}${query.search}`] ?? [];
      const at = list.indexOf(id);
      const found = { at, previous: list[at - 1] ?? null, next: list[at + 1] ?? null };
      return { total: list.length, ...(at < 0 ? { at: null, previous: null, next: null } : found) };
    },
  });
  return { order, asked };
}

it("goes by the list that a feature of the run was last opened from", async () => {
  const { order, asked } = orderOver({ "tuned small": ["L0/F1", "L0/F2"], "tuned smallgreat": ["L0/F2", "L1/F9"] });
  const place = { runFolder: "/runs/one", id: "L0/F2" };
  expect(await order.neighbours(place)).toEqual({ at: 1, total: 2, previous: "L0/F1", next: null });
  order.note("/runs/one", FeatureQuery.parse({ search: "great" }));
  expect(await order.neighbours(place)).toEqual({ at: 0, total: 2, previous: null, next: "L1/F9" });
  order.note("/runs/one", ["L5/F5", "L0/F2", "L4/F4"]);
  expect(await order.neighbours(place)).toEqual({ at: 1, total: 3, previous: "L5/F5", next: "L4/F4" });
  expect(asked.length).toBe(2);
  // Another run has a list of its own.
  expect((await order.neighbours({ ...place, runFolder: "/runs/two" })).previous).toBe("L0/F1");
});

it("goes by contribution in the feature's own dictionary where the list does not have it", async () => {
  const { order, asked } = orderOver({ "tuned small": ["L0/F1"], "base big": ["base:L0/F3@big", "base:L0/F4@big"] });
  order.note("/runs/one", ["L5/F5"]);
  const found = await order.neighbours({ runFolder: "/runs/one", id: "base:L0/F3@big" });
  expect(found).toEqual({ at: 0, total: 2, previous: null, next: "base:L0/F4@big" });
  expect(asked.at(-1)).toMatchObject({ sort: "contribution", dictionary: { model: "base", size: "big" } });
});
