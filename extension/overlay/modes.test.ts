import { describe, expect, it } from "vitest";
import type { LensState } from "../../server/protocol/lens-state.ts";
import { pairInfo, runInfo } from "../../test/support/lens-info.ts";
import { legendEntries } from "./legend.ts";
import { modeShown, whyNot, withUnit } from "./modes.ts";
import { stepFor } from "./scale.ts";

const ready = (info: Extract<LensState, { kind: "ready" }>["info"]): LensState => ({ kind: "ready", info });

describe("what is shown", () => {
  it("is what somebody chose, where what is looked through offers it", () => {
    expect(modeShown({ kind: "true" }, ready(runInfo), "auto", true)).toEqual({ kind: "true" });
    expect(modeShown({ kind: "feature", id: "L1/F2" }, ready(runInfo), "auto", true)).toEqual({
      kind: "feature",
      id: "L1/F2",
    });
    expect(modeShown({ kind: "kl" }, ready(pairInfo), "auto", true)).toEqual({ kind: "kl" });
    expect(modeShown({ kind: "true" }, ready(pairInfo), "auto", true)).toEqual({ kind: "learned" });
    expect(modeShown({ kind: "kl" }, ready({ ...runInfo, hasBase: false }), "auto", true)).toEqual({
      kind: "implicit",
    });
  });

  it("is a reading again as soon as nothing is ablated, where the ablation's effect was shown", () => {
    expect(modeShown({ kind: "ablatedMinusNot" }, ready(runInfo), "auto", true)).toEqual({ kind: "ablatedMinusNot" });
    expect(modeShown({ kind: "ablatedMinusNot" }, ready(runInfo), "auto", false)).toEqual({ kind: "learned" });
  });

  it("is of itself the reading that stands for what was learned", () => {
    expect(modeShown("auto", ready(runInfo), "auto", true)).toEqual({ kind: "learned" });
    expect(modeShown("auto", ready(runInfo), "implicit", true)).toEqual({ kind: "implicit" });
    expect(modeShown("auto", ready({ ...runInfo, hasBase: false }), "auto", true)).toEqual({ kind: "implicit" });
    expect(modeShown("auto", ready(pairInfo), "implicit", true)).toEqual({ kind: "learned" });
  });

  it("is guessed while it is not known what there is", () => {
    const opening: LensState = { kind: "opening", target: { kind: "pair", tuned: "/a", base: "/b" } };
    expect(modeShown("auto", { kind: "none" }, "auto", true)).toEqual({ kind: "learned" });
    expect(modeShown("auto", { kind: "none" }, "tunedMinusBase", true)).toEqual({ kind: "tunedMinusBase" });
    expect(modeShown({ kind: "true" }, { kind: "none" }, "auto", true)).toEqual({ kind: "true" });
    expect(modeShown({ kind: "true" }, opening, "implicit", true)).toEqual({ kind: "learned" });
    expect(modeShown({ kind: "kl" }, opening, "auto", true)).toEqual({ kind: "kl" });
  });
});

it("says why a mode cannot be shown", () => {
  expect(whyNot("ablatedMinusNot", runInfo, false)).toBe("no ablation set is active");
  expect(whyNot("ablatedMinusNot", runInfo, true)).toBeUndefined();
  expect(whyNot("ablatedMinusNot", pairInfo, true)).toMatch(/two checkpoints/);
  expect(whyNot("learned", undefined, false)).toBeUndefined();
});

describe("numbers of two models", () => {
  it("have a unit", () => {
    expect([withUnit(-0.5, "learned"), withUnit(1, "kl"), withUnit(1, "implicit")]).toEqual([
      "−0.50 nats",
      "+1.00 nats",
      "+1.00",
    ]);
  });

  it("have the hue of activations where they are divergences, which are never below zero", () => {
    expect(stepFor(2, 2, "kl")).toBe("feature4");
    expect(stepFor(-2, 2, "learned")).toBe("negative4");
    expect(legendEntries("kl", 2).map(({ step }) => step)).toEqual(["feature4", "feature3", "feature2", "feature1"]);
    expect(legendEntries("learned", 2)).toHaveLength(8);
  });
});
