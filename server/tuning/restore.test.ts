import { afterAll, beforeAll, expect, it } from "vitest";
import { tinyOptions, tinyPrompts } from "../../test/support/tiny-ppo.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { readFloats } from "../models/checkpoint.ts";
import { evaluatePair } from "./evaluate.ts";
import { measureRestored, type RestoredRewards } from "./restore.ts";

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

it("gives the base model's rewards when all that moved is put back, and leaves the tuned weights as they were", async () => {
  const { policy: tuned, reference: base, ...options } = await tinyOptions(device);
  const head = "embed_out.weight";
  const scale = "gpt_neox.final_layer_norm.weight";
  for (const [name, factor] of [
    [head, 3],
    [scale, 1.5],
  ] as const)
    await tuned.store.write(
      name,
      (await readFloats(tuned.store, name)).map((w, at) => (at % 2 === 0 ? factor * w : w)),
    );
  const moved = await Promise.all([head, scale].map((name) => readFloats(tuned.store, name)));

  const prompts = tinyPrompts(50);
  const shared = { ...options, tuned, prompts };
  const evaluation = await evaluatePair({ ...shared, base, random: Random.fromSeed(1) });
  const saved: RestoredRewards[] = [];
  const parts = [
    { id: "head", parameters: [head] },
    { id: "both", parameters: [head, scale] },
    { id: "nothing", parameters: ["gpt_neox.embed_in.weight"] },
  ];
  const before = (name: string) => readFloats(base.store, name);
  const measure = (known?: RestoredRewards) =>
    measureRestored({
      ...shared,
      random: Random.fromSeed(1),
      before,
      parts,
      ...(known === undefined ? {} : { known }),
      onBatch: async (rewards) => {
        saved.push(structuredClone(rewards));
      },
    });
  const found = await measure();
  expect(found.tuned).toEqual(evaluation.tuned);
  const [headBack, both, nothing] = found.parts;
  expect(both?.reward).toEqual(evaluation.base);
  expect(both?.change.mean).toBeCloseTo(-evaluation.difference.mean, 12);
  expect(both?.change.low).toBeCloseTo(-evaluation.difference.high, 12);
  expect(nothing?.change).toMatchObject({ count: 50, mean: 0, low: 0, high: 0 });
  expect(headBack?.change.mean).not.toBe(0);
  expect(headBack?.reward).not.toEqual(both?.reward);
  expect(await Promise.all([head, scale].map((name) => readFloats(tuned.store, name)))).toEqual(moved);

  // Cut after any batch it goes on to the same.
  expect(saved).toHaveLength(8);
  for (const known of [saved[0], saved[2], saved[5], saved[7]]) expect(await measure(known)).toEqual(found);
});

it("puts the weights back when the work is stopped in the middle of a part", async () => {
  const { policy: tuned, reference: _, ...options } = await tinyOptions(device);
  const name = "gpt_neox.layers.0.mlp.dense_4h_to_h.weight";
  const moved = await readFloats(tuned.store, name);
  const stopped = measureRestored({
    ...options,
    tuned,
    prompts: tinyPrompts(5),
    random: Random.fromSeed(1),
    before: async () => new Float32Array(moved.length),
    parts: [{ id: "mlp", parameters: [name] }],
    onBatch: async ({ parts }) => {
      if (parts["mlp"] !== undefined) throw new Error("enough");
    },
  });
  await expect(stopped).rejects.toThrow("enough");
  expect(await readFloats(tuned.store, name)).toEqual(moved);
});
