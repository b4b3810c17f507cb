import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Tuned } from "../../kernels/matmul/choose.ts";
import { readTuning, TuningFileError, tuningPath, writeTuning } from "./tuning-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-tuning-"));
});
afterAll(() => rm(folder, { recursive: true }));

const adapter = { vendor: "nvidia", architecture: "hopper", description: "nvidia-h100-80gb-hbm3", driver: "565.57/01" };
const other = { ...adapter, description: "../../etc/passwd" };
const tiles: Tuned = {
  "f32 nt 1x4096x2048x512": {
    kind: "tiles",
    tile: { rows: 64, columns: 64, inner: 16, perRow: 8, perColumn: 4 },
    splits: 2,
  },
};
const matrices: Tuned = {
  "half nt 1x4096x2048x512": {
    kind: "matrices",
    precision: "half",
    splits: 1,
    tile: {
      config: { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 },
      subgroups: [2, 2],
      fragments: [4, 4],
      inner: 32,
      subgroupSize: 32,
      pinned: false,
    },
  },
};

it("gives back what was measured, adds to it, and keeps adapters apart", async () => {
  expect(await readTuning(folder, adapter)).toEqual({});
  const path = await writeTuning(folder, adapter, tiles);
  expect(path).toBe(join(folder, "gpu/nvidia-hopper-nvidia-h100-80gb-hbm3-565.57-01.json"));
  expect(await readTuning(folder, adapter)).toEqual(tiles);
  await writeTuning(folder, adapter, matrices);
  expect(await readTuning(folder, adapter)).toEqual({ ...tiles, ...matrices });
  expect(await readTuning(folder, other)).toEqual({});
  expect(dirname(tuningPath(folder, other))).toBe(join(folder, "gpu"));
});

it("does not use what was measured of other kernels", async () => {
  const path = await writeTuning(folder, { ...adapter, vendor: "old" }, tiles);
  await writeFile(path, (await readFile(path, "utf8")).replace(/"revision": \d+/, '"revision": 0'));
  expect(await readTuning(folder, { ...adapter, vendor: "old" })).toEqual({});
});

it.each(["{", "[]", '{"revision":1,"adapter":"x","products":{"a":{"kind":"tiles","tile":{"rows":0},"splits":1}}}'])(
  "says so when a file is not one: %s",
  async (text) => {
    const path = tuningPath(folder, { ...adapter, vendor: "broken" });
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    await expect(readTuning(folder, { ...adapter, vendor: "broken" })).rejects.toThrow(TuningFileError);
    await expect(readTuning(folder, { ...adapter, vendor: "broken" })).rejects.toThrow(path);
    await writeTuning(folder, { ...adapter, vendor: "broken" }, tiles);
    expect(await readTuning(folder, { ...adapter, vendor: "broken" })).toEqual(tiles);
  },
);
