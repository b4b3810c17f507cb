import { afterAll, beforeAll, expect, it } from "vitest";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device, ProgramSpec } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { benchDpo, benchPairs } from "./dpo-timing.ts";
import { BenchCheckError } from "./timing.ts";

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

const model = { folder: modelFolder("gpt-neox"), name: "tiny" };
const overrides = { batchSize: 4, pairsAtOnce: 4, learningRate: 1e-3 };

it("times a tiny model with all weights and with adapters, and checks what it computed", async () => {
  const result = await benchDpo({ device, model, steps: 2, overrides });
  expect(result).toMatchObject({
    name: "dpo",
    model: "tiny",
    batch: 4,
    maxTokens: 40,
    steps: 2,
    loraRank: 0,
    check: "ok",
  });
  expect(result.pairsPerSecond).toBeCloseTo(4 / result.stepSeconds, 6);
  const lora = { rank: 2, alpha: 4, targets: "all-linear" } as const;
  const adapted = await benchDpo({ device, model, steps: 3, overrides: { ...overrides, learningRate: 1e-2 }, lora });
  expect(adapted).toMatchObject({ loraRank: 2, check: "ok" });
  const still = await benchDpo({ device, model, steps: 1, overrides: { ...overrides, learningRate: 1e-30 } });
  expect(still.check).toBe("the policy did not learn");
});

it("times nothing where a pair's log-probabilities are wrong", async () => {
  const wrong: Device = {
    ...device,
    kind: device.kind,
    description: device.description,
    createState: (...given) => device.createState(...given),
    close: () => device.close(),
    compile: (spec: ProgramSpec) => {
      const { chosen } = spec.outputs;
      const outputs = chosen === undefined ? spec.outputs : { ...spec.outputs, chosen: ops.affine(chosen, 1.01) };
      return device.compile({ ...spec, outputs });
    },
  };
  await expect(benchDpo({ device: wrong, model, steps: 1, overrides })).rejects.toThrow(BenchCheckError);
});

it("makes the pairs that the Python script makes", () => {
  const [first] = benchPairs(1, { vocabSize: 4096, maxTokens: 256 });
  expect(first?.prompt.split(" ").length).toBeGreaterThan(32);
  expect(first?.prompt.startsWith(pythonStart)).toBe(true);
  for (const text of benchPairs(50, { vocabSize: 300, maxTokens: 64 }).flatMap(({ chosen, prompt }) => [
    chosen,
    prompt,
  ])) {
    const ids = text.trim().split(" ").map(Number);
    expect(ids.length).toBeGreaterThanOrEqual(8);
    expect(ids.length).toBeLessThan(32);
    expect(Math.min(...ids)).toBeGreaterThan(0);
  }
});

/** By `python -c "import pytorch_dpo; print(pytorch_dpo.pairs(1, 4096, 256)[0]['prompt'][:5])"` in test/bench. */
const pythonStart = "3694 3603 3714 317 3755 ";
