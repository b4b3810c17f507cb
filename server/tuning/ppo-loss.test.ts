import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { readPpoFixture } from "../../test/support/ppo-fixture.ts";
import type { Device } from "../engine/device.ts";
import { gradients } from "../engine/gradients.ts";
import * as ops from "../engine/ops.ts";
import { entropyOf, ppoLoss } from "./ppo-loss.ts";

// float32 on the device, float64 in the fixture.
const close = { absolute: 2e-6, relative: 0 };

const subjects = devicesUnderTest.flatMap(({ kind, open }) =>
  readPpoFixture().losses.map((stored) => ({ kind, open, name: stored.name, stored })),
);

describe.each(subjects)("PPO's loss on $kind equals PyTorch's: $name", ({ open, stored }) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  it("values and gradients", async () => {
    const places = stored.mask.length;
    const given = (name: string) => ops.input(name, [places]);
    const logits = ops.input("logits", [places, stored.vocabulary]);
    const values = given("values");
    const nodes = ppoLoss(
      {
        logProbs: ops.gatherLogProbs(logits, ops.input("ids", [places], "i32")),
        values,
        oldLogProbs: given("oldLogProbs"),
        oldValues: given("oldValues"),
        advantages: given("advantages"),
        returns: given("returns"),
        mask: given("mask"),
      },
      stored,
    );
    const [logitsGradient = logits, valuesGradient = values] = gradients(nodes.loss, [logits, values]);
    const entropies = entropyOf(ops.logSoftmax(logits));
    const program = await device.compile({
      stores: [],
      outputs: { ...nodes, logitsGradient, valuesGradient, entropies },
    });
    const { ids, logits: _, ...rest } = stored;
    const floats = { logits: stored.logits, values: rest.values, oldLogProbs: rest.oldLogProbs };
    const results = await program.run({
      ids: Int32Array.from(ids),
      ...Object.fromEntries(
        Object.entries({
          ...floats,
          oldValues: rest.oldValues,
          advantages: rest.advantages,
          returns: rest.returns,
          mask: rest.mask,
        }).map(([name, numbers]) => [name, Float32Array.from(numbers)]),
      ),
    });
    for (const [name, number] of Object.entries(stored.expected))
      expectClose(name, results[name], [number], { absolute: 2e-6, relative: 2e-6 });
    expectClose("gradient for the logits", results["logitsGradient"], stored.logitsGradient, close);
    expectClose("gradient for the values", results["valuesGradient"], stored.valuesGradient, close);
    expectClose("entropies", results["entropies"], stored.entropies, close);
  });

  it("the fixture shows what its name says", () => {
    if (stored.name.includes("clipped")) expect(stored.expected.clipFraction).toBeGreaterThan(0.1);
    if (stored.name.includes("nothing is learned")) {
      expect(stored.expected.ratio).toBeGreaterThan(stored.ratioThreshold);
      expect(stored.logitsGradient.every((number) => number === 0)).toBe(true);
    }
  });
});
