import { describe, expect, it } from "vitest";
import type { WrittenAblation } from "../../server/protocol/ablation.ts";
import type { MeasuredEffect } from "../../server/protocol/features.ts";
import { Uri } from "../../test/support/vscode-stub.ts";
import { Measurements, type PlacedSet } from "./measurements.ts";

const effects = (change: number): MeasuredEffect[] => [
  { what: "this", factor: 0, prompts: 256, change, low: change - 0.1, high: change + 0.1 },
];

function setOf(...features: WrittenAblation["features"]): WrittenAblation {
  return { format: "lfp-ablation/1", name: "", note: "", features };
}

const ablated = setOf({ id: "L4/F43", factor: 0 });
const place = (path: string, set = ablated, run = { folder: "/runs/one", dictionaries: "d1" }): PlacedSet => ({
  ...{ uri: Uri.file(path) as unknown as PlacedSet["uri"], set, run },
});
const praise = place("/w/praise.lfp-ablation.json");

/** A workspace state that lasts over reloads of the window. */
function memory(initial: unknown = []) {
  let kept = JSON.stringify(initial);
  return {
    get: <T>() => JSON.parse(kept) as T,
    update: async (_: string, value: unknown) => {
      kept = JSON.stringify(value);
    },
  };
}

describe("the measurements of ablation sets", () => {
  it("last over a reload of the window", async () => {
    const state = memory();
    await new Measurements(state).add(praise, effects(-0.2));
    expect(new Measurements(state).of(praise)).toEqual({ effects: effects(-0.2), isCurrent: true });
  });

  it("are not shown of another file, another run, or a run that was computed anew", async () => {
    const measured = new Measurements(memory());
    await measured.add(praise, effects(-0.2));
    const path = "/w/praise.lfp-ablation.json";
    expect(measured.of(place("/w/other.lfp-ablation.json"))).toBeNull();
    expect(measured.of(place(path, ablated, { folder: "/runs/two", dictionaries: "d1" }))).toBeNull();
    expect(measured.of(place(path, ablated, { folder: "/runs/one", dictionaries: "d2" }))).toBeNull();
  });

  it("are of the factors at which they were measured; of others they are not current", async () => {
    const measured = new Measurements(memory());
    const halved = place("/w/praise.lfp-ablation.json", setOf({ id: "L4/F43", factor: 0.5 }));
    await measured.add(praise, effects(-0.2));
    expect(measured.of(halved)).toEqual({ effects: effects(-0.2), isCurrent: false });
    await measured.add(halved, effects(-0.1));
    expect(measured.of(halved)).toEqual({ effects: effects(-0.1), isCurrent: true });
    expect(measured.of(praise)).toEqual({ effects: effects(-0.2), isCurrent: true });
    // What is switched off or left as it is changes nothing.
    const idle = setOf(...ablated.features, { id: "L1/F1", factor: 1 }, { id: "L1/F2", factor: 0, on: false });
    expect(measured.of(place("/w/praise.lfp-ablation.json", idle))?.isCurrent).toBe(true);
  });

  it("give way to a later one of the same set, and the oldest go first", async () => {
    const state = memory();
    const measured = new Measurements(state);
    await measured.add(praise, effects(-0.2));
    await measured.add(praise, effects(-0.3));
    expect(measured.of(praise)?.effects).toEqual(effects(-0.3));
    for (let set = 0; set < 50; set += 1) await measured.add(place(`/w/${set}.lfp-ablation.json`), effects(set));
    expect(measured.of(praise)).toBeNull();
    expect(measured.of(place("/w/0.lfp-ablation.json"))?.effects).toEqual(effects(0));
  });

  it("are none where the workspace state holds something else", () => {
    expect(new Measurements(memory([{ place: 1 }])).of(praise)).toBeNull();
  });
});
