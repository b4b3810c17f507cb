import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { modelFolder, readModelOracle } from "../../test/conformance/fixtures.ts";
import { numberTokenizer } from "../../test/support/number-tokenizer.ts";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import { LogRatioScorer, type ModelPair } from "../models/log-ratio.ts";
import { modelOf } from "../models/model.ts";
import { spansOf } from "../tasks/contrast.ts";
import type { Triple } from "../tasks/task.ts";
import { LogRatioCollection, type LogRatioOptions } from "./collect-log-ratio.ts";

const oracle = readModelOracle("gpt-neox");
const [first = [], second = []] = oracle.ids;

/** A row of ids as text, with the ids at `from` to `to` (included) as the target. */
function side(ids: readonly number[], from: number, to = from) {
  const start = ids.slice(0, from).join(" ").length + (from > 0 ? 1 : 0);
  const word = ids.slice(from, to + 1).join(" ");
  return { text: ids.join(" "), word, start, end: start + word.length };
}

/** The versions of a triple differ from the target on. */
function triple(id: string, ids: readonly number[], at: number): Triple {
  const other = (to: number, token: number) => side([...ids.slice(0, at), token, ...ids.slice(at + 1)], at, to);
  return {
    id,
    source: id,
    original: "positive",
    positive: side(ids, at),
    neutral: other(at, 7),
    negative: other(at + 1, 9),
  };
}

const triples = [triple("a", first, 4), triple("b", second, 0), triple("c", second, 6), triple("d", first, 8)];
const sides = spansOf(triples);

describe.each(devicesUnderTest)("log-ratios of target words on $kind", ({ open }) => {
  let device: Device;
  let pair: ModelPair;
  beforeAll(async () => {
    device = await open();
    const base = await loadModel(device, modelFolder("gpt-neox"));
    pair = { base, tuned: await moved(device, base) };
  });
  afterAll(() => device.close());

  const collected = async (options: Partial<LogRatioOptions> = {}): Promise<Float32Array> => {
    const collection = new LogRatioCollection(sides, { device, pair, tokenizer: numberTokenizer, ...options });
    while (await collection.step());
    return await collection.finish();
  };

  /** From all logits of each version by itself. */
  const expected = async (prefixIds: readonly number[]): Promise<number[]> => {
    const scorer = await LogRatioScorer.create(device, pair, { shape: [1, first.length + 2] });
    const sums: number[] = [];
    for (const { text, start, end } of sides) {
      const { ids, ranges } = numberTokenizer.encode(text);
      const [scored] = await scorer.score([Int32Array.from([...prefixIds, ...ids])]);
      const places = [...ranges.keys()].filter(
        (at) => (ranges[at]?.start ?? end) < end && (ranges[at]?.end ?? 0) > start,
      );
      sums.push(places.reduce((sum, at) => sum + (scored?.logRatio[at + prefixIds.length] ?? Number.NaN), 0));
    }
    await scorer.dispose();
    return sums;
  };

  it("are the sums over a word's tokens that whole texts give, each beginning read once", async () => {
    const found = await collected({ prefixIds: [1] });
    const sums = await expected([1]);
    expect(found).toHaveLength(12);
    for (const [row, sum] of sums.entries()) expect(Math.abs((found[row] ?? Number.NaN) - sum)).toBeLessThan(1e-4);
    expect(Math.max(...sums.map(Math.abs))).toBeGreaterThan(0.1);
    const collection = new LogRatioCollection(sides, { device, pair, tokenizer: numberTokenizer, prefixIds: [1] });
    // Positive and neutral version share a beginning; the negative one's word has a second token, whose beginning holds the first.
    expect(collection.texts).toBe(8);
  });

  it("are missing where nothing stands before the word", async () => {
    const found = await collected();
    expect([...found.entries()].filter(([, value]) => Number.isNaN(value)).map(([row]) => row)).toEqual([1, 5, 9]);
    const sums = await expected([]);
    for (const row of [0, 2, 3, 4, 6, 7]) expect(found[row]).toBeCloseTo(sums[row] ?? Number.NaN, 4);
  });

  it("are the same whatever a run holds, and after a cut", async () => {
    const whole = await collected({ prefixIds: [1] });
    const options = { device, pair, tokenizer: numberTokenizer, prefixIds: [1], tokensPerRun: 12 };
    const begun = new LogRatioCollection(sides, options);
    await begun.step();
    await begun.step();
    const resumed = new LogRatioCollection(sides, options);
    resumed.restore(begun.done, { logRatio: begun.captured().logRatio.slice() });
    expect(resumed.doneTexts).toBe(begun.doneTexts);
    await begun.dispose();
    while (await resumed.step());
    const found = await resumed.finish();
    for (const [row, value] of whole.entries()) expect(found[row]).toBeCloseTo(value, 4);
    expect(() => resumed.restore(1, { logRatio: new Float32Array(3) })).toThrow(/not of this collection/);
  });

  it("are zero where nothing was tuned", async () => {
    const same = await loadModel(device, modelFolder("gpt-neox"), { prefix: "same." });
    const found = await collected({ pair: { base: pair.base, tuned: same }, prefixIds: [1] });
    expect(Math.max(...found.map(Math.abs))).toBeLessThan(1e-6);
  });
});

/** The same model with noise on every weight, in a store of its own. */
async function moved(device: Device, base: LoadedModel) {
  const random = Random.fromSeed(4);
  const entries = [];
  for (const spec of base.parameters) {
    const values = await base.store.read(spec.name);
    entries.push({
      ...spec,
      name: `tuned.${spec.name}`,
      values: Float32Array.from(values, (value) => value + 0.02 * random.normal()),
    });
  }
  return modelOf(base.config, await device.createState(entries), "tuned.");
}
