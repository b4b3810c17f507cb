import { afterAll, beforeAll, expect, it } from "vitest";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { createOptimizer } from "../engine/optimizer.ts";
import { epsAt } from "./dpo.ts";
import { DpoConfig, dpoPresets } from "./dpo-config.ts";

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

const learningRate = 1e-2;
/** So small that epsilon decides the size of a step. */
const gradients = [1e-9, -3e-9, 1e-8, 1e-3];
const steps = 6;

it.each(["adamw", "adamw-hf"] as const)("%s takes the steps of its formula", async (optimizer) => {
  const shape = [gradients.length];
  const store = await device.createState([{ name: "w", shape, values: new Float32Array(gradients.length) }], "weights");
  const adam = await createOptimizer(device, [{ name: "w", shape }]);
  const loss = ops.sum(ops.mul(ops.state("w", shape), ops.input("gradient", shape)));
  const program = await device.compile({
    stores: [store, adam.store],
    outputs: { loss },
    updates: [adam.update(loss)],
  });
  const options = { learningRate, beta1: 0.9, beta2: 0.999, weightDecay: 0, maxGradientNorm: Infinity };
  for (let step = 1; step <= steps; step++)
    await program.run({
      gradient: Float32Array.from(gradients),
      ...adam.inputsAt(step, { ...options, eps: epsAt(optimizer, step) }),
    });
  const got = await store.read("w");
  const expected = gradients.map((gradient) => trajectory(optimizer, gradient));
  for (const [at, value] of expected.entries()) expect((got[at] ?? 0) / value).toBeCloseTo(1, 4);
  await program.dispose();
});

/**
 * torch.optim.AdamW, and transformers.optimization.AdamW of 4.40 (`denom = exp_avg_sq.sqrt().add_(eps)`, `step_size =
 * lr * sqrt(1 - beta2^t) / (1 - beta1^t)`), of one parameter with a constant gradient.
 */
function trajectory(optimizer: "adamw" | "adamw-hf", gradient: number): number {
  let [w, m, v] = [0, 0, 0];
  for (let t = 1; t <= steps; t++) {
    m = 0.9 * m + 0.1 * gradient;
    v = 0.999 * v + 0.001 * gradient ** 2;
    const [first, second] = [1 - 0.9 ** t, 1 - 0.999 ** t];
    w -=
      optimizer === "adamw"
        ? (learningRate * (m / first)) / (Math.sqrt(v / second) + 1e-8)
        : (((learningRate * Math.sqrt(second)) / first) * m) / (Math.sqrt(v) + 1e-8);
  }
  return w;
}

it("adamw-hf refuses weight decay, which it applied otherwise", () => {
  const settings = { ...dpoPresets["quick-preferences"], optimizer: "adamw-hf", weightDecay: 0.1 };
  expect(DpoConfig.safeParse(settings).error?.issues).toMatchObject([
    { path: ["weightDecay"], message: expect.stringContaining("adamw-hf") },
  ]);
});
