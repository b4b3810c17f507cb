import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import { type PairLogProbs, PairScorer } from "./pair-batch.ts";
import { needsOf } from "./pair-rows.ts";
import { scorePairs } from "./score-pairs.ts";
import type { TokenPair } from "./token-pair.ts";

let device: Device;
let model: LoadedModel;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  model = await loadModel(device, fileURLToPath(new URL("../../assets/starter", import.meta.url)));
});
afterAll(() => device.close());

/** Lengths from 2 to 30 tokens, so that pairs fall into several shapes. */
const pairs = Array.from({ length: 9 }, (_, at): TokenPair => {
  const ids = (from: number, count: number) =>
    Int32Array.from({ length: count }, (_id, place) => from + 7 * place + at);
  const prompt = ids(300, 1 + ((5 * at) % 16));
  return {
    chosen: { prompt, answer: ids(100, 1 + ((11 * at) % 30)) },
    rejected: { prompt, answer: ids(200, 1 + ((3 * at) % 30)) },
  };
});

describe("log-probabilities of pairs", () => {
  it("are those of each pair on its own, whatever batch and shape it is read in", async () => {
    const found = await scorePairs(device, model, pairs, { pairsAtOnce: 2 });
    for (const [at, pair] of pairs.entries()) {
      const scorer = await PairScorer.create(device, model, { shape: needsOf(pair), pairs: 1, frozen: false });
      const [alone] = await scorer.score([pair]);
      await scorer.dispose();
      expect(found[at]?.chosen).toBeCloseTo(alone?.chosen ?? Number.NaN, 3);
      expect(found[at]?.rejected).toBeCloseTo(alone?.rejected ?? Number.NaN, 3);
    }
  });

  it("go on after an interruption with the same bits, without reading a batch again", async () => {
    const batches: ReadonlyMap<number, PairLogProbs>[] = [];
    const note = async (found: ReadonlyMap<number, PairLogProbs>): Promise<void> => {
      batches.push(new Map(found));
    };
    const whole = await scorePairs(device, model, pairs, { pairsAtOnce: 2, onBatch: note });
    const known = batches[1] ?? new Map();
    expect(known.size).toBeGreaterThan(1);
    const before = batches.length;
    const resumed = await scorePairs(device, model, pairs, { pairsAtOnce: 2, known, onBatch: note });
    expect(resumed).toEqual(whole);
    expect(batches.length - before).toBe(before - 2);
    const again = await scorePairs(device, model, pairs, { pairsAtOnce: 2, known: batches.at(-1) ?? known });
    expect(again).toEqual(whole);
  });
});
