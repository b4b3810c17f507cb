import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import { type SampleSettings, sampleRows } from "../../server/engine/cpu/host.loops.ts";
import type { Device } from "../../server/engine/device.ts";
import { NonFiniteError } from "../../server/engine/errors.ts";
import { type LoadedModel, loadModel } from "../../server/models/checkpoint.ts";
import { defaultSampling, Generator, type SamplingOptions } from "../../server/models/generate.ts";
import { forward, logitsOf, plainPositions } from "../../server/models/model.ts";
import { modelFolder } from "../conformance/fixtures.ts";

const everything: SampleSettings = { topK: 0, topP: 1, greedy: false, banned: [], limit: 5 };
const probabilities = [0.15, 0.4, 0.05, 0.3, 0.1];

describe("drawing from a row of probabilities", () => {
  /** How often each token is drawn over evenly spaced uniforms, which make frequencies exact to one in N. */
  function frequencies(settings: Partial<SampleSettings>, row = probabilities): number[] {
    const N = 2000;
    const rows = Float32Array.from({ length: N * row.length }, (_, at) => row[at % row.length] ?? 0);
    const uniforms = Float32Array.from({ length: N }, (_, n) => (n + 0.5) / N);
    const counts = row.map(() => 0);
    for (const id of sampleRows(rows, uniforms, { ...everything, ...settings }, row.length))
      counts[id] = (counts[id] ?? 0) + 1;
    return counts.map((count) => count / N);
  }

  it.each<[string, Partial<SampleSettings>, number[]]>([
    ["the whole distribution", {}, [0.15, 0.4, 0.05, 0.3, 0.1]],
    ["top-k of 2", { topK: 2 }, [0, 4 / 7, 0, 3 / 7, 0]],
    ["top-k of 1", { topK: 1 }, [0, 1, 0, 0, 0]],
    ["top-k beyond the vocabulary", { topK: 99 }, [0.15, 0.4, 0.05, 0.3, 0.1]],
    ["top-p: the fewest tokens that hold 0.6", { topP: 0.6 }, [0, 4 / 7, 0, 3 / 7, 0]],
    ["top-p: the fewest tokens that hold 0.8", { topP: 0.8 }, [3 / 17, 8 / 17, 0, 6 / 17, 0]],
    ["top-p of 0: the most probable one", { topP: 0 }, [0, 1, 0, 0, 0]],
    ["top-p within what top-k leaves, renormalised", { topK: 3, topP: 0.8 }, [0, 4 / 7, 0, 3 / 7, 0]],
    ["banned ids", { banned: [1, 4] }, [0.3, 0, 0.1, 0.6, 0]],
    ["banned ids under top-k", { banned: [1], topK: 2 }, [1 / 3, 0, 0, 2 / 3, 0]],
    ["ids beyond the limit", { limit: 3 }, [0.25, 2 / 3, 1 / 12, 0, 0]],
    ["greedy", { greedy: true }, [0, 1, 0, 0, 0]],
    ["greedy among what is not banned", { greedy: true, banned: [1] }, [0, 0, 0, 1, 0]],
  ])("%s", (_, settings, expected) => {
    for (const [id, frequency] of frequencies(settings).entries())
      expect(Math.abs(frequency - (expected[id] ?? 0))).toBeLessThan(2 / 2000);
  });

  it("gives ties to the lower id and never draws what has no probability, even at the ends of [0, 1]", () => {
    expect(frequencies({ topK: 1 }, [0.2, 0.4, 0.4])).toEqual([0, 1, 0]);
    expect(frequencies({ greedy: true }, [0.2, 0.4, 0.4])).toEqual([0, 1, 0]);
    for (const settings of [everything, { ...everything, topK: 4 }, { ...everything, topP: 0.999 }]) {
      // 1 can come of rounding to single precision.
      const ids = sampleRows(Float32Array.of(0, 0.5, 0.5, 0, 0, 0, 0.5, 0.5, 0, 0), Float32Array.of(0, 1), settings, 5);
      expect([...ids]).toEqual([1, 2]);
    }
  });

  it("refuses a row that is not a number, whatever is asked for and banned", () => {
    const rows = () =>
      Float32Array.from([...probabilities, Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
    for (const settings of [{}, { greedy: true }, { topK: 2 }, { banned: [0] }]) {
      const draw = () => sampleRows(rows(), Float32Array.of(0.5, 0.5), { ...everything, ...settings }, 5);
      expect(draw).toThrow(NonFiniteError);
      expect(draw).toThrow("row 1 of the sampling probabilities is NaN: the model's weights have diverged");
    }
  });
});

describe("sampling from a model", () => {
  let device: Device;
  let model: LoadedModel;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
    model = await loadModel(device, modelFolder("gpt-neox"));
  });
  afterAll(() => device.close());

  const prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [20, 21]].map((ids) => Int32Array.from(ids));

  async function sample(
    given: readonly Int32Array[],
    options: Partial<SamplingOptions>,
    seed: number,
  ): Promise<number[][]> {
    const maxNewTokens = options.maxNewTokens ?? 12;
    const generator = await Generator.create(device, model, { batch: given.length, promptTokens: 5, maxNewTokens });
    const found = await generator.generate(
      given,
      { ...defaultSampling, maxNewTokens, ...options },
      Random.fromSeed(seed),
    );
    await generator.dispose();
    return found.map(({ ids }) => [...ids]);
  }

  it("follows the softmax of the logits at a temperature, for prompts of any length", async () => {
    const temperature = 0.7;
    const random = Random.fromSeed(11);
    const uniforms = prompts.map(() => Math.fround(random.uniform()));
    const expected: number[] = [];
    for (const [row, prompt] of prompts.entries()) {
      const shape = [1, prompt.length] as const;
      const logits = logitsOf(model, forward(model, { shape }).hidden);
      const program = await device.compile({ stores: [model.store], outputs: { logits } });
      const results = await program.run({ ids: prompt, positions: plainPositions(shape) });
      const { logits: all = new Float32Array() } = results;
      expected.push(inverse(Array.from(all.slice(-model.config.vocabSize)), temperature, uniforms[row] ?? Number.NaN));
    }
    const got = await sample(prompts, { temperature, maxNewTokens: 1, minNewTokens: 0 }, 11);
    expect(got).toEqual(expected.map((id) => (model.config.eosIds.includes(id) ? [] : [id])));
  });

  it("draws the same for the same seed, something else for another, and each row for itself", async () => {
    const first = await sample(prompts, {}, 3);
    expect(await sample(prompts, {}, 3)).toEqual(first);
    expect(await sample(prompts, {}, 4)).not.toEqual(first);
    const neighbours = [prompts[0], ...prompts.slice(1).map(() => Int32Array.of(30, 31, 32, 33))].map(
      (ids) => ids ?? new Int32Array(),
    );
    expect((await sample(neighbours, {}, 3))[0]).toEqual(first[0]);
  });

  it("ends no text before the least number of new tokens", async () => {
    const many = Array.from({ length: 64 }, (_, at) => Int32Array.of(2 + at));
    const free = await sample(many, { temperature: 3 }, 5);
    expect(free.some((ids) => ids.length < 8)).toBe(true);
    const held = await sample(many, { temperature: 3, minNewTokens: 8 }, 5);
    expect(held.every((ids) => ids.length >= 8)).toBe(true);
    expect(held.some((ids) => ids.length < 12)).toBe(true);
  });

  it("draws no id without a token, be it in a gap or beyond the tokenizer, as the rest has the probability", async () => {
    const many = Array.from({ length: 64 }, (_, at) => Int32Array.of(2 + at));
    const unusedIds = Array.from({ length: 60 }, (_, at) => 20 + at);
    for (const temperature of [3, 0]) {
      const generator = await Generator.create(device, model, {
        batch: 64,
        promptTokens: 5,
        maxNewTokens: 12,
        tokenizer: { vocabSize: 90, unusedIds },
      });
      const found = await generator.generate(
        many,
        { ...defaultSampling, maxNewTokens: 12, temperature },
        Random.fromSeed(5),
      );
      await generator.dispose();
      const drawn = new Set(found.flatMap(({ ids }) => [...ids]));
      expect([...drawn].filter((id) => id >= 90 || unusedIds.includes(id))).toEqual([]);
      expect(drawn.size).toBeGreaterThan(temperature === 0 ? 1 : 20);
      const free = await sample(many, { temperature }, 5);
      expect(free.flat().some((id) => id >= 90 || unusedIds.includes(id))).toBe(true);
    }
  });

  it("takes the most probable token at temperature 0, with every seed", async () => {
    const greedy = await sample(prompts, { temperature: 0 }, 1);
    expect(await sample(prompts, { temperature: 0 }, 2)).toEqual(greedy);
    expect(await sample(prompts, { topK: 1 }, 3)).toEqual(greedy);
  });
});

/** The first id at which the distribution function of softmax(logits / temperature), in double precision, passes u. */
function inverse(logits: readonly number[], temperature: number, u: number): number {
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp((logit - largest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let held = 0;
  for (const [id, weight] of weights.entries()) {
    held += weight / total;
    if (held > u) return id;
  }
  return logits.length - 1;
}
