import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FeatureQuery } from "../../protocol/features.ts";
import { FeatureStore } from "../../store/store.ts";
import { writeSyntheticStore } from "../../store/synthetic.ts";
import { byAttribution, chosenInStore, sortedByWeight } from "./choose.ts";

let folder: string;
let store: FeatureStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-choose-"));
  const made = join(folder, "made.sqlite");
  // Feature f contributes (f - 50) / 100 to the probe's output; feature 0 is never active.
  writeSyntheticStore(made, { layers: 1, features: 100 });
  store = FeatureStore.open(join(folder, "features.sqlite"), { create: true });
  store.refill({ path: made, key: "k" });
});
afterAll(async () => {
  store.close();
  await rm(folder, { recursive: true });
});

const scores = [
  { id: "L0/F1", score: 0.5 },
  { id: "L0/F2", score: -2 },
  { id: "L0/F3", score: 1 },
  { id: "L0/F4", score: 0 },
  { id: "L0/F5", score: -0.25 },
];

it("takes either end of the attributions, and nothing beyond zero", () => {
  expect(byAttribution(scores, "attribution", 1)).toEqual(["L0/F3"]);
  expect(byAttribution(scores, "attribution", 9)).toEqual(["L0/F3", "L0/F1"]);
  expect(byAttribution(scores, "lowest", 9)).toEqual(["L0/F2", "L0/F5"]);
});

it("sorts by the size of the contribution", () => {
  expect(sortedByWeight(store, ["L0/F52", "L0/F1", "L0/F45"])).toEqual(["L0/F1", "L0/F45", "L0/F52"]);
});

it("finds every choice in a run's store, and says what an earlier run lacks", () => {
  expect(() => chosenInStore(store, "attribution", 2)).toThrow(/has no attributions.*lfp run/);
  store.setAttributions(scores);
  expect(chosenInStore(store, "attribution", 9)).toEqual(["L0/F3", "L0/F1"]);
  expect(chosenInStore(store, "lowest", 1)).toEqual(["L0/F2"]);
  expect(chosenInStore(store, "weight", 2)).toEqual(["L0/F99", "L0/F1"]);
  expect(() => chosenInStore(store, "relevant", 2)).toThrow(/no feature.*relevant/);
  expect(store.query(FeatureQuery.parse({ sort: "attribution" }), { offset: 0, count: 1 }).rows[0]).toMatchObject({
    id: "L0/F3",
    attribution: 1,
  });
});
