import { afterAll, beforeAll, expect, it } from "vitest";
import { lowIds, tinyOptions, tinyPrompts } from "../../test/support/tiny-ppo.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { type EvaluatedPair, evaluatePair } from "./evaluate.ts";

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

it("a model does not differ from itself, and a moved one does, by its own rewards", async () => {
  const { policy, reference, ...options } = await tinyOptions(device);
  const evaluation = { ...options, base: reference, tuned: policy, prompts: tinyPrompts(50) };
  const same = await evaluatePair({ ...evaluation, random: Random.fromSeed(1) });
  expect(same.difference).toMatchObject({ count: 50, mean: 0, low: 0, high: 0 });
  expect(same.base).toEqual(same.tuned);
  expect(Math.abs(same.kl.mean)).toBeLessThan(1e-5);
  expect(same.pairs.map(({ prompt }) => prompt)).toEqual(evaluation.prompts.map(({ text }) => text));

  // Logits of low ids grow.
  const head = await policy.store.read("embed_out.weight");
  const { width, vocabSize } = policy.config;
  const moved = Float32Array.from(head, (w, at) => (Math.floor(at / width) < vocabSize / 2 ? 3 * w : w));
  await policy.store.write("embed_out.weight", moved);
  const random = Random.fromSeed(1);
  const batches: EvaluatedPair[][] = [];
  const onBatch = async (pairs: readonly EvaluatedPair[]): Promise<void> => {
    batches.push([...pairs]);
  };
  const other = await evaluatePair({ ...evaluation, random, onBatch });
  expect(batches.map(({ length }) => length)).toEqual([32, 50]);
  expect(await evaluatePair({ ...evaluation, random, known: batches[0] ?? [] })).toEqual(other);
  expect(other.base).toEqual(same.base);
  expect(other.kl.low).toBeGreaterThan(0);
  for (const { prompt, base, tuned } of other.pairs) {
    const asked = [base, tuned].map(({ completion }) => ({ prompt, completion }));
    expect([base.reward, tuned.reward]).toEqual([...(await lowIds.score(asked))]);
  }
  const differences = other.pairs.map(({ base, tuned }) => tuned.reward - base.reward);
  expect(other.difference.mean).toBeCloseTo(differences.reduce((a, b) => a + b) / 50, 12);
  expect(other.difference.mean).not.toBe(0);
});
