import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyOptions, tinyPrompts } from "../../test/support/tiny-ppo.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { plainReward } from "../rewards/reward.ts";
import {
  createPairSampler,
  type PairSampling,
  type SampledPairOptions,
  type SampledPairs,
  samplePairs,
  tokenPairOf,
} from "./sampled-pairs.ts";

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

const sampling: PairSampling = {
  newTokens: { min: 3, max: 6 },
  temperature: 1,
  completions: 3,
  promptsAtOnce: 4,
};

describe("pairs out of a reward", () => {
  it("hold the best and the worst completion of each prompt, of one length unless one ended", async () => {
    await using options = await optionsOf();
    const { pairs, prompts, ties } = await samplePairs(options);
    expect(prompts).toBe(10);
    expect(pairs.length + ties).toBe(10);
    expect(pairs.length).toBeGreaterThan(5);
    for (const { prompt, chosen, rejected } of pairs) {
      expect(chosen.reward).toBeGreaterThan(rejected.reward);
      for (const { text, reward, ids, promptIds } of [chosen, rejected]) {
        expect(reward).toBe(sumOf(text));
        expect(ids.length).toBeGreaterThan(0);
        expect(promptIds.map((id) => ` ${id}`).join("")).toBe(prompt);
      }
      const ended = [chosen, rejected].some(({ ids }) => ids.at(-1) === end);
      if (!ended) expect(chosen.ids).toHaveLength(rejected.ids.length);
      expect([...tokenPairOf({ prompt, chosen, rejected }).chosen.answer]).toEqual(chosen.ids);
    }
  });

  it("are none where every completion is worth the same", async () => {
    await using options = await optionsOf({ reward: plainReward("test/equal", "completion", () => 1) });
    expect(await samplePairs(options)).toEqual({ prompts: 10, ties: 10, pairs: [] });
  });

  it("are the same after a cut, and for the same seed", async () => {
    await using options = await optionsOf();
    const states: SampledPairs[] = [];
    const whole = await samplePairs({ ...options, onBatch: async (made) => void states.push(made) });
    expect(states.map(({ prompts }) => prompts)).toEqual([4, 8, 10]);
    const [first] = states;
    if (first === undefined) throw new Error("no batch was told of");
    expect(await samplePairs({ ...options, known: first })).toEqual(whole);
    expect(await samplePairs({ ...options, random: Random.fromSeed(2) })).not.toEqual(whole);
  });

  it("stop with the reason of whoever hears of a batch", async () => {
    await using options = await optionsOf();
    const stop = async (): Promise<never> => {
      throw new Error("enough");
    };
    await expect(samplePairs({ ...options, onBatch: stop })).rejects.toThrow("enough");
  });
});

const end = 1;
const sumOf = (text: string): number =>
  text
    .split(" ")
    .filter(Boolean)
    .reduce((sum, id) => sum + Number(id), 0);

async function optionsOf(changes: Partial<SampledPairOptions> = {}): Promise<SampledPairOptions & AsyncDisposable> {
  const { policy, tokenizer } = await tinyOptions(device);
  const prompts = tinyPrompts(10);
  const sampler = await createPairSampler(device, policy, { tokenizer, prompts, sampling });
  return {
    sampler,
    tokenizer,
    prompts,
    sampling,
    reward: plainReward("test/sum", "completion", sumOf),
    random: Random.fromSeed(1),
    ...changes,
    [Symbol.asyncDispose]: () => sampler.dispose(),
  };
}
