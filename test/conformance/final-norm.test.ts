/** What each architecture says of its final norm, against its own forward pass. Letters: T tokens, D width. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { createModel, loadModel, readFloats } from "../../server/models/checkpoint.ts";
import { finalNormOf, forward, plainPositions } from "../../server/models/model.ts";
import { modelFolder, ORACLE_MODELS, readModelOracle } from "./fixtures.ts";

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

it.each(ORACLE_MODELS)(
  "%s: hidden states are the residual stream, centred or not, times the scale and a factor a token",
  async (name) => {
    const model = await loadModel(device, modelFolder(name));
    const ids = Int32Array.from(readModelOracle(name).ids[0] ?? []);
    const shape = [1, ids.length] as const;
    const { hidden, layers } = forward(model, { shape });
    const residual = layers.at(-1)?.activations.residual ?? hidden;
    const program = await device.compile({ stores: [model.store], outputs: { hidden, residual } });
    const results = await program.run({ ids, positions: plainPositions(shape) });
    const rowOf = (name: string, t: number): number[] => Array.from(results[name]?.slice(t * D, (t + 1) * D) ?? []);
    const { scale, offset, centres } = finalNormOf(model.config);
    const stored = await readFloats(model.store, scale);
    const bias = scale.replace(/weight$/, "bias");
    const shift = model.store.names.includes(bias)
      ? await readFloats(model.store, bias)
      : new Float32Array(stored.length);
    const D = stored.length;
    for (const t of ids.keys()) {
      const row = rowOf("residual", t);
      const mean = centres ? row.reduce((sum, x) => sum + x, 0) / D : 0;
      const own = row.map((x, d) => (x - mean) * ((stored[d] ?? 0) + offset));
      const found = rowOf("hidden", t).map((h, d) => h - (shift[d] ?? 0));
      const dot = (a: number[], b: number[]): number => a.reduce((sum, x, d) => sum + x * (b[d] ?? 0), 0);
      expect(dot(own, found) / Math.sqrt(dot(own, own) * dot(found, found))).toBeGreaterThan(1 - 1e-6);
    }
    await program.dispose();
  },
);

it.each(ORACLE_MODELS)("%s: the final norm of a new model multiplies with one", async (name) => {
  const { configJson } = await loadModel(device, modelFolder(name));
  const model = await createModel(device, configJson, Random.fromSeed(1));
  const { scale, offset } = finalNormOf(model.config);
  expect(new Set(Array.from(await readFloats(model.store, scale), (value) => value + offset))).toEqual(new Set([1]));
});
