import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { modelFolder, ORACLE_MODELS } from "../../test/conformance/fixtures.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { loadModel } from "../models/checkpoint.ts";
import { forward, logitsOf, plainPositions } from "../models/model.ts";
import { createValueHead } from "../models/value-head.ts";
import { type Episode, layOut, rowsOf } from "./completion-batch.ts";
import { CompletionScorer } from "./completion-scorer.ts";

const shape = { promptPlaces: 4, completionPlaces: 5 };

describe("layout", () => {
  const episodes: Episode[] = [
    { prompt: Int32Array.of(7, 8), completion: Int32Array.of(20, 21, 22) },
    { prompt: Int32Array.of(3, 4, 5, 6), completion: Int32Array.of(30, 31, 32, 33, 34) },
    { prompt: Int32Array.of(9), completion: Int32Array.of(40) },
  ];
  const batch = layOut(episodes, shape);

  it("prompts end and completions begin at one place; the last token of a full row is not read", () => {
    expect([...batch.ids.subarray(0, 8)]).toEqual([0, 0, 7, 8, 20, 21, 22, 0]);
    expect([...batch.ids.subarray(8, 16)]).toEqual([3, 4, 5, 6, 30, 31, 32, 33]);
    expect([...batch.positions.subarray(0, 8)]).toEqual([0, 0, 0, 1, 2, 3, 4, 5]);
    expect([...batch.keyBias.subarray(0, 8)].map((bias) => bias === 0)).toEqual([
      false,
      false,
      true,
      true,
      true,
      true,
      true,
      true,
    ]);
    expect([...batch.targets]).toEqual([20, 21, 22, 0, 0, 30, 31, 32, 33, 34, 40, 0, 0, 0, 0]);
    expect([...batch.mask]).toEqual([1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
  });

  it("rows are taken in the order asked for", () => {
    const [, second, third] = episodes;
    if (second === undefined || third === undefined) throw new Error("no episodes");
    expect(rowsOf(batch, [2, 1])).toEqual(layOut([third, second], shape));
  });

  it("what does not fit is a defect", () => {
    const long = { prompt: Int32Array.of(1, 2, 3, 4, 5), completion: Int32Array.of(1) };
    expect(() => layOut([long], shape)).toThrow(/a prompt of 5 tokens in 4 places/);
    expect(() => layOut([{ prompt: Int32Array.of(1), completion: new Int32Array() }], shape)).toThrow(/0 tokens/);
  });
});

describe.each(ORACLE_MODELS)("padded scoring of %s equals the plain model on each text alone", (name) => {
  let device: Device;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
  });
  afterAll(() => device.close());

  it.each([
    { frozen: false, temperature: 1 },
    { frozen: true, temperature: 0.7 },
  ])("frozen: $frozen, temperature $temperature", async ({ frozen, temperature }) => {
    const model = await loadModel(device, modelFolder(name));
    const random = Random.fromSeed(6);
    const weight = Float32Array.from({ length: model.config.width }, () => random.normal());
    const valueHead = await createValueHead(device, model.config.width, { weight, bias: Float32Array.of(0.5) });
    const ids = (length: number) => Int32Array.from({ length }, () => random.integer(model.config.vocabSize));
    const episodes = [
      [2, 3],
      [4, 5],
      [1, 1],
      [3, 4],
      [4, 2],
    ].map(([prompt = 0, completion = 0]) => ({ prompt: ids(prompt), completion: ids(completion) }));
    const options = { ...shape, rowsAtOnce: 2, temperature, frozen };
    const scorer = await CompletionScorer.ofPolicy(device, model, valueHead, options);
    const batch = layOut(episodes, shape);
    const scores = await scorer.score(batch);
    for (const [row, episode] of episodes.entries()) {
      const alone = await plainScores(episode, temperature);
      const from = row * shape.completionPlaces;
      const of = (all: Float32Array) => all.subarray(from, from + episode.completion.length);
      expectClose(`log-probabilities of row ${row}`, of(scores.logProbs), alone.logProbs, close);
      expectClose(`entropies of row ${row}`, of(scores.entropies), alone.entropies, close);
      expectClose(`values of row ${row}`, of(scores.values), alone.values, close);
    }
    expect(scores.logProbs).toHaveLength(25);
    const plain = await CompletionScorer.create(device, model, options);
    const alike = await plain.score(batch);
    expect(Object.keys(alike)).toEqual(["logProbs"]);
    expectClose("log-probabilities alone", alike.logProbs, [...scores.logProbs], close);

    async function plainScores({ prompt, completion }: Episode, temperatureHere: number) {
      const all = Int32Array.from([...prompt, ...completion]);
      const result = forward(model, { shape: [1, all.length] });
      const outputs = { logits: logitsOf(model, result.hidden), values: valueHead.valuesOf(result.hidden) };
      const program = await device.compile({ stores: [model.store, valueHead.store], outputs });
      const { logits = [], values = [] } = await program.run({ ids: all, positions: plainPositions([1, all.length]) });
      await program.dispose();
      const V = model.config.vocabSize;
      const places = [...completion.keys()].map((place) => prompt.length - 1 + place);
      const distributions = places.map((place) =>
        logSoftmax(Array.from(logits.slice(place * V, (place + 1) * V), (logit) => logit / temperatureHere)),
      );
      return {
        logProbs: distributions.map((logProbs, place) => logProbs[completion[place] ?? -1] ?? Number.NaN),
        entropies: distributions.map((logProbs) => -logProbs.reduce((total, lp) => total + Math.exp(lp) * lp, 0)),
        values: places.map((place) => values[place] ?? Number.NaN),
      };
    }
  });
});

const close = { absolute: 2e-5, relative: 0 };

function logSoftmax(logits: readonly number[]): number[] {
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}
