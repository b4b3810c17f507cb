import { expect, test } from "vitest";
import { plantedTriples } from "../../test/support/planted-triples.ts";
import { NotPositiveDefiniteError, rowMatrix } from "../statistics/linear-algebra.ts";
import type { TripleFeatures } from "./features.ts";
import { openPartThreads } from "./part-threads.ts";
import { partContext, partKeys, partName } from "./parts.ts";
import type { ProbeData } from "./probe-data.ts";
import { evaluateProbe } from "./regression.ts";
import { defaultProbeSettings, type ProbeSettings } from "./report-types.ts";
import { forgetful, type PartStore } from "./saved-parts.ts";

const settings: ProbeSettings = {
  ...defaultProbeSettings,
  seed: 3,
  resamples: 50,
  permutations: 49,
  xavierSeeds: 5,
  labelShuffles: 3,
  foldDraws: 2,
  refits: 19,
};
const planted = plantedTriples({
  triples: 150,
  words: 25,
  columns: 12,
  signal: 2,
  identity: 0.3,
  noise: 0.2,
  seed: 1,
});
const data: ProbeData = { ...planted, staticEmbedding: planted.features };

async function evaluated(own: ProbeData, threads: number, parts: PartStore = forgetful, alpha = settings.alpha) {
  using pool = openPartThreads(own, { ...settings, alpha }, { threads, parts });
  return await evaluateProbe(own, { ...settings, alpha }, parts, undefined, pool.run);
}

test.each([1, 2, 3])("on %i threads it gives the JSON of an evaluation without any", async (threads) => {
  const alone = await evaluateProbe(data, settings);
  expect(JSON.stringify(await evaluated(data, threads))).toBe(JSON.stringify(alone));
});

test("a part that fails on a thread fails with its own error", async () => {
  await expect(evaluated(withRepeatedColumns(data), 2, forgetful, 0)).rejects.toThrow(NotPositiveDefiniteError);
});

test("parts that are stored are not computed again", async () => {
  const context = partContext(data, settings);
  const stored = new Map<string, unknown>();
  await evaluated(data, 2, {
    find: () => undefined,
    save: async (name, result) => {
      stored.set(name, result);
    },
  });
  expect([...stored.keys()]).toEqual(partKeys(data, settings).map(partName));
  using pool = openPartThreads(data, settings, {
    threads: 2,
    parts: { ...forgetful, find: (name) => stored.get(name) },
  });
  // It was stored, so no thread was given it, and it is computed on this one.
  const [key = { kind: "untrained", split: "triple" }] = partKeys(data, settings);
  expect(await pool.run(key, context)).toEqual(stored.get(partName(key)));
});

test("an abort ends the wait for a part with the signal's reason", async () => {
  const controller = new AbortController();
  const options = { threads: 2, parts: forgetful, signal: controller.signal };
  using pool = openPartThreads(data, settings, options);
  const evaluation = evaluateProbe(data, settings, forgetful, controller.signal, pool.run);
  controller.abort(new Error("stop"));
  await expect(evaluation).rejects.toThrow("stop");
});

/** Every column twice, so that a fit without a penalty is singular. */
function withRepeatedColumns(from: ProbeData): ProbeData {
  const twice = ({ rows: { data: values, rows, columns }, ...rest }: TripleFeatures): TripleFeatures => {
    const doubled = Float32Array.from({ length: 2 * values.length }, (_, at) => {
      const [row, column] = [Math.floor(at / (2 * columns)), at % columns];
      return values[row * columns + column] ?? 0;
    });
    return { ...rest, rows: rowMatrix(doubled, rows, 2 * columns) };
  };
  return { ...from, features: twice(from.features) };
}
