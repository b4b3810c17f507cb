import { describe, expect, it } from "vitest";
import { parseAblation, withAllRestored, withFeature, withoutFeature } from "./file.ts";

const text = '{ "$schema": "x", "format": "lfp-ablation/1", "features": [{ "id": "L4/F43" }] }';

describe("an ablation set's file", () => {
  it("is read with what it leaves out filled in, whatever schema it names", () => {
    expect(parseAblation(text)).toEqual({
      ok: true,
      set: { format: "lfp-ablation/1", name: "", note: "", features: [{ id: "L4/F43", factor: 0 }] },
    });
  });

  it.each([
    ["", /no JSON/],
    ["[]", /format/],
    ['{ "format": "lfp-ablation/2", "features": [] }', /format/],
    ['{ "format": "lfp-ablation/1", "features": [{ "id": "4/43" }] }', /features\.0\.id: expected a feature/],
    ['{ "format": "lfp-ablation/1", "features": [{ "id": "L4/F43", "factor": 1e9 }] }', /features\.0\.factor/],
    ['{ "format": "lfp-ablation/1", "features": [], "colour": 1 }', /colour/],
  ])("%s is refused with the place of its fault", (broken, says) => {
    const parsed = parseAblation(broken);
    expect(parsed).toMatchObject({ ok: false, problem: expect.stringMatching(says) });
  });

  it("gets a feature added or changed, and keeps everything else", () => {
    const added = withFeature(text, "L5/F1@big", { factor: 2 });
    expect(JSON.parse(added)).toEqual({
      $schema: "x",
      format: "lfp-ablation/1",
      features: [
        { id: "L4/F43", factor: 0 },
        { id: "L5/F1@big", factor: 2 },
      ],
    });
    // In its place: a list must not be put in another order under the slider that changes it.
    expect(parseAblation(withFeature(added, "L4/F43", { factor: 1 }))).toMatchObject({
      set: {
        features: [
          { id: "L4/F43", factor: 1 },
          { id: "L5/F1@big", factor: 2 },
        ],
      },
    });
    expect(JSON.parse(withoutFeature(added, "L4/F43"))).toEqual({
      $schema: "x",
      format: "lfp-ablation/1",
      features: [{ id: "L5/F1@big", factor: 2 }],
    });
    expect(parseAblation(withFeature(undefined, "base:L0/F0", { factor: 0 }))).toMatchObject({ ok: true });
  });

  it("has features switched off, with their factors kept, and all restored at once", () => {
    const off = withFeature(withFeature(text, "L5/F1", { factor: 2 }), "L5/F1", { on: false });
    expect(JSON.parse(off).features).toEqual([
      { id: "L4/F43", factor: 0 },
      { id: "L5/F1", factor: 2, on: false },
    ]);
    expect(JSON.parse(withFeature(off, "L5/F1", { on: true })).features[1]).toEqual({ id: "L5/F1", factor: 2 });
    expect(JSON.parse(withAllRestored(off))).toEqual({
      $schema: "x",
      format: "lfp-ablation/1",
      features: [
        { id: "L4/F43", factor: 1 },
        { id: "L5/F1", factor: 1, on: false },
      ],
    });
  });
});
