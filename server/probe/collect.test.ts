import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { modelFolder, readModelOracle } from "../../test/conformance/fixtures.ts";
import { numberTokenizer } from "../../test/support/number-tokenizer.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import { openSafetensors } from "../models/safetensors.ts";
import { spansOf } from "../tasks/contrast.ts";
import {
  type CollectOptions,
  collectFeatures,
  FeatureCollection,
  type FeatureEncoder,
  rawActivations,
} from "./collect.ts";
import { type SpanFeatures, tripleFeatures } from "./features.ts";

const oracle = readModelOracle("gpt-neox");
const D = oracle.hiddenSize;
const [first = [], second = []] = oracle.ids;

/** A row of ids as text, with the ids at `from` to `to` (included) as the target. */
function side(ids: readonly number[], from: number, to = from) {
  const start = ids.slice(0, from).join(" ").length + (from > 0 ? 1 : 0);
  const word = ids.slice(from, to + 1).join(" ");
  return { text: ids.join(" "), word, start, end: start + word.length };
}

const spans = spansOf([
  {
    id: "a",
    source: "a",
    original: "positive",
    positive: side(first, 4),
    neutral: side(second, 9),
    negative: side(first, 2, 4),
  },
  {
    id: "b",
    source: "b",
    original: "negative",
    positive: side(second, 0),
    neutral: side(first, 10),
    negative: side(second, 6, 7),
  },
]);
/** Where the six sides stand in the stored [B, T, D], in the order of the rows: positive, negative, neutral. */
const places = [
  [[0, 4]],
  [[1, 0]],
  [
    [0, 2],
    [0, 3],
    [0, 4],
  ],
  [
    [1, 6],
    [1, 7],
  ],
  [[1, 9]],
  [[0, 10]],
] as const;

describe.each(devicesUnderTest)("activations at target words on $kind equal PyTorch's", ({ open }) => {
  let device: Device;
  let model: LoadedModel;
  const stored: Float32Array[] = [];
  beforeAll(async () => {
    device = await open();
    model = await loadModel(device, modelFolder("gpt-neox"));
    await using source = await openSafetensors(join(modelFolder("gpt-neox"), "oracle.safetensors"));
    for (let layer = 0; layer < 3; layer++) stored.push(await source.readFloat32(`mlpOutput.${layer}`));
  });
  afterAll(() => device.close());

  const optionsOf = (): CollectOptions<"raw"> => ({
    device,
    model,
    tokenizer: numberTokenizer,
    layers: [2, 0],
    encoders: { raw: rawActivations({ siteAt: () => "mlp-output" }) },
    multiToken: "average",
  });

  /** The stored MLP output, averaged over tokens by hand. */
  function expected(layer: number, tokens: readonly (readonly [number, number])[]): number[] {
    const vectors = tokens.map(([b, t]) => stored[layer]?.subarray((b * 11 + t) * D, (b * 11 + t + 1) * D));
    return Array.from(
      { length: D },
      (_, j) => vectors.reduce((sum, vector) => sum + (vector?.[j] ?? Number.NaN), 0) / tokens.length,
    );
  }

  function expectRow({ rows }: SpanFeatures, row: number, values: readonly number[]): void {
    const got = rows.data.subarray(row * rows.columns, (row + 1) * rows.columns);
    expect(got.length).toBe(values.length);
    for (const [at, value] of values.entries()) expect(got[at]).toBeCloseTo(value, 4);
  }

  it("with layers in numeric order and words of several tokens averaged", async () => {
    const { raw } = await collectFeatures(spans, optionsOf());
    expect(raw.layers).toEqual([
      { layer: 0, start: 0, end: D },
      { layer: 2, start: D, end: 2 * D },
    ]);
    expect([raw.rows.rows, raw.rows.columns]).toEqual([6, 2 * D]);
    expect(tripleFeatures(raw)).toEqual({ ...raw, triples: 2 });
    for (const [row, tokens] of places.entries()) expectRow(raw, row, [...expected(0, tokens), ...expected(2, tokens)]);
  });

  it("with only the first token of a word", async () => {
    const { raw } = await collectFeatures(spans, { ...optionsOf(), multiToken: "firstPiece" });
    for (const [row, tokens] of places.entries()) {
      const head = tokens.slice(0, 1);
      expectRow(raw, row, [...expected(0, head), ...expected(2, head)]);
    }
  });

  it("through an encoder, beside the raw ones, with the mean taken over features and not over activations", async () => {
    const F = 3;
    const weight = Float32Array.from({ length: F * D }, (_, at) => Math.sin(at + 1));
    const store = await device.createState([{ name: "encoder", shape: [F, D], values: weight.slice() }]);
    const encoder: FeatureEncoder = {
      stores: [store],
      siteAt: () => "mlp-output",
      encode: (layer, x) => ops.relu(ops.affine(ops.linear(x, ops.state("encoder", [F, D])), layer + 1)),
    };
    const { raw, small } = await collectFeatures(spans, {
      ...optionsOf(),
      encoders: { raw: rawActivations({ siteAt: () => "mlp-output" }), small: encoder },
    });
    expect(raw.rows.columns).toBe(2 * D);
    expect(small.layers).toEqual([
      { layer: 0, start: 0, end: F },
      { layer: 2, start: F, end: 2 * F },
    ]);
    const encoded = (layer: number, tokens: readonly (readonly [number, number])[]) => {
      const each = tokens.map((token) => {
        const x = expected(layer, [token]);
        return Array.from({ length: F }, (_, f) =>
          Math.max(0, (layer + 1) * x.reduce((sum, value, j) => sum + value * (weight[f * D + j] ?? 0), 0)),
        );
      });
      return Array.from(
        { length: F },
        (_, f) => each.reduce((sum, features) => sum + (features[f] ?? 0), 0) / each.length,
      );
    };
    for (const [row, tokens] of places.entries()) expectRow(small, row, [...encoded(0, tokens), ...encoded(2, tokens)]);
    await store.dispose();
  });

  it("the same whatever a run holds, and after a cut", async () => {
    const whole = await collectFeatures(spans, optionsOf());
    const options = { ...optionsOf(), tokensPerRun: 8 };
    const cut = new FeatureCollection(spans, options);
    expect(cut.batches).toBeGreaterThan(3);
    await cut.step();
    await cut.step();
    const saved = {
      done: cut.done,
      rows: Object.fromEntries(Object.entries(cut.captured()).map(([k, v]) => [k, v.slice()])),
    };
    await cut.step();
    await cut.dispose();
    const resumed = new FeatureCollection(spans, options);
    resumed.restore(saved.done, saved.rows);
    expect(resumed.doneTexts).toBeGreaterThan(0);
    while (await resumed.step());
    const { raw } = await resumed.finish();
    const uncut = await collectFeatures(spans, options);
    expect(raw.rows.data).toEqual(uncut.raw.rows.data);
    for (const [at, value] of raw.rows.data.entries())
      expect(value).toBeCloseTo(whole.raw.rows.data[at] ?? Number.NaN, 4);
  });

  it("at any places of texts, not only three a triple", async () => {
    const { raw } = await collectFeatures([side(second, 9), side(first, 2, 4)], optionsOf());
    expect(raw.rows.rows).toBe(2);
    for (const [row, at] of [4, 2].entries()) {
      const tokens = places[at] ?? [];
      expectRow(raw, row, [...expected(0, tokens), ...expected(2, tokens)]);
    }
    expect(() => tripleFeatures(raw)).toThrow(/2 rows are not three a triple/);
  });

  it("counts its progress, and refuses what cannot be", async () => {
    const seen: number[] = [];
    await collectFeatures(spans, optionsOf(), (done, total) => seen.push(done / total));
    expect(seen.at(-1)).toBe(1);
    expect(() => new FeatureCollection(spans, { ...optionsOf(), layers: [3] })).toThrow(/layers 3 .* of a model of 3/);
    const collection = new FeatureCollection(spans, optionsOf());
    expect(() => collection.restore(1, { raw: new Float32Array(3) })).toThrow(/not of this collection/);
    await expect(collection.finish()).rejects.toThrow(/before its last batch/);
  });
});
