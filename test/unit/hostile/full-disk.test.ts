/** A disk that is full from some write on, tried for each writer of what stages and commands leave behind. */
import type * as NodeFiles from "node:fs/promises";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Random } from "../../../server/common/random.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device } from "../../../server/engine/device.ts";
import { type LoadedModel, loadModel, saveModel } from "../../../server/models/checkpoint.ts";
import { writeSafetensors } from "../../../server/models/safetensors.ts";
import { saveCalibration } from "../../../server/pipeline/artifacts/calibration-file.ts";
import { writeJson, writeJsonLines } from "../../../server/pipeline/artifacts/json-files.ts";
import { type SavedProbe, saveProbe } from "../../../server/probe/format.ts";
import { evaluateProbe } from "../../../server/probe/regression.ts";
import { defaultProbeSettings } from "../../../server/probe/report-types.ts";
import { Calibration } from "../../../server/protocol/calibration.ts";
import { cachedChecksumOf } from "../../../server/runs/digest-cache.ts";
import { prepareRun } from "../../../server/runs/run-folder.ts";
import { saveSae } from "../../../server/sae/format.ts";
import { modelFolder } from "../../conformance/fixtures.ts";
import { plantedTriples } from "../../support/planted-triples.ts";
import { scratchFolder } from "../runs/scratch.ts";

/** How many writes the disk still takes; the next is cut in half, and none after it takes place. */
const disk = vi.hoisted(() => ({ left: Number.POSITIVE_INFINITY, writes: 0 }));

vi.mock("node:fs/promises", async (actual) => {
  const files = await actual<typeof NodeFiles>();
  const full = (call: string): never => {
    throw Object.assign(new Error(`ENOSPC: no space left on device, ${call}`), { code: "ENOSPC", errno: -28 });
  };
  const spend = (): boolean => {
    disk.writes += 1;
    disk.left -= 1;
    return disk.left >= 0;
  };
  const open: typeof files.open = async (...given) => {
    const handle = await files.open(...given);
    const write = handle.write.bind(handle);
    const halfOf = async (bytes: Uint8Array, offset: number, length: number): Promise<never> => {
      if (disk.left === -1) await write(bytes, offset, length >> 1);
      return full("write");
    };
    Object.assign(handle, {
      write: (bytes: Uint8Array, offset: number, length: number) =>
        spend() ? write(bytes, offset, length) : halfOf(bytes, offset, length),
    });
    return handle;
  };
  const copyFile: typeof files.copyFile = async (...given) => (spend() ? files.copyFile(...given) : full("copyfile"));
  return { ...files, open, copyFile, default: { ...files, open, copyFile } };
});

let probe: SavedProbe;
let device: Device;
let model: LoadedModel;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  model = await loadModel(device, modelFolder("gpt-neox"));
  const planted = plantedTriples({ triples: 60, words: 6, columns: 5, signal: 1, identity: 0.1, noise: 0.1, seed: 1 });
  const settings = { ...defaultProbeSettings, resamples: 20, permutations: 19, xavierSeeds: 3, labelShuffles: 2 };
  probe = { ...(await evaluateProbe(planted, settings)), about: { model: "starter", lexicon: "nltk2016" } };
});
afterAll(() => device.close());
afterEach(() => {
  disk.left = Number.POSITIVE_INFINITY;
});

const calibration = Calibration.parse({
  format: 1,
  experiment: "tiny",
  key: "0".repeat(64),
  sets: 1,
  nulls: 1,
  seeds: [1, 2],
  words: 3,
  readings: {},
  best: null,
});

function dictionary() {
  const random = Random.fromSeed(1);
  const draw = () => new Float32Array(24).map(() => random.normal());
  const biases = { encoderBias: new Float32Array(6), decoderBias: new Float32Array(4) };
  return { D: 4, F: 6, activation: { kind: "relu" as const }, encoder: draw(), decoder: draw(), ...biases };
}

const metadata = {
  modelName: "m",
  layer: 0,
  site: "mlp-output" as const,
  module: "m.0.mlp",
  contextLength: 8,
  prependBos: false,
  dataset: null,
  extra: {},
};

const writers: readonly (readonly [string, (folder: string) => Promise<unknown>])[] = [
  ["a JSON file of a stage", (at) => writeJson(at, "a.json", { a: 1 })],
  ["lines of JSON", (at) => writeJsonLines(at, "a.jsonl", [{ a: 1 }, { a: 2 }])],
  [
    "tensors",
    (at) =>
      writeSafetensors(join(at, "a.safetensors"), [
        { name: "a", dtype: "F32", shape: [3], data: Float32Array.of(1, 2, 3) },
        { name: "b", dtype: "F16", shape: [2], data: Float32Array.of(1, 2) },
      ]),
  ],
  ["a probe", (at) => saveProbe(at, probe)],
  ["a dictionary", (at) => saveSae(at, dictionary(), metadata)],
  ["a model with its tokenizer", (at) => saveModel(model, at)],
  ["a calibration", (at) => saveCalibration(at, calibration)],
  ["an experiment of a run", (at) => prepareRun(dirname(at), "demo", { preset: "quick" })],
];

/** All files below a folder, with their bytes. */
async function filesIn(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = paths.map(async (path) => [relative(folder, path), (await readFile(path)).toString("latin1")] as const);
  return new Map(await Promise.all(read));
}

test.each(writers)("%s: it is said, nothing is half written, and what was there before stays", async (_, write) => {
  const root = await scratchFolder();
  const sound = join(root, "sound", "demo");
  await mkdir(sound, { recursive: true });
  disk.writes = 0;
  await write(sound);
  const writes = disk.writes;
  const whole = await filesIn(sound);
  expect(writes).toBeGreaterThan(0);
  for (let left = 0; left < writes; left++) {
    const folder = join(root, `full-${left}`, "demo");
    await mkdir(folder, { recursive: true });
    // Under each name that is to be written stands something of before.
    for (const path of whole.keys()) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), "before");
    }
    disk.left = left;
    const failed = await write(folder).then(
      () => undefined,
      (error: unknown) => error,
    );
    disk.left = Number.POSITIVE_INFINITY;
    expect(failed, `after ${left} writes`).toMatchObject({ code: expect.stringMatching(/^(resource|ENOSPC)$/) });
    expect(String(failed)).toContain("ENOSPC");
    for (const [path, text] of await filesIn(folder)) expect(["before", whole.get(path)], path).toContain(text);
    // With space again it is as if nothing had been.
    await write(folder);
    expect(await filesIn(folder)).toEqual(whole);
  }
});

test("a cache of digests that cannot be written costs nothing but time", async () => {
  const root = await scratchFolder();
  const path = join(root, "model.safetensors");
  await writeFile(path, new Uint8Array(2 ** 20));
  disk.left = 0;
  const options = { stateFolder: join(root, "state"), now: () => Date.now() + 60_000 };
  const first = await cachedChecksumOf(path, options);
  disk.left = Number.POSITIVE_INFINITY;
  expect(await cachedChecksumOf(path, options)).toEqual(first);
});
