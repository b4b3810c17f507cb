import { cp, mkdtemp, readFile, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { expectClose } from "../../test/conformance/close-to.ts";
import { gpuIsHere } from "../../test/conformance/devices.ts";
import { modelFolder, type OracleModel } from "../../test/conformance/fixtures.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { gradients } from "../engine/gradients.ts";
import type { Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { createGpuDevice } from "../engine/webgpu/device.ts";
import { type LoadedModel, loadModel, saveModel, type WeightDtype } from "./checkpoint.ts";
import { LogRatioScorer } from "./log-ratio.ts";
import { addLora, linearTargets } from "./lora.ts";
import { forward, logitsOf, plainPositions, storesOf } from "./model.ts";
import { nextTokenLoss, targetsOf } from "./next-token-loss.ts";

const adapters = fileURLToPath(new URL("../../test/fixtures/adapters", import.meta.url));
const peft = z
  .object({
    ids: z.array(z.array(z.int())),
    cases: z.array(z.object({ name: z.string(), base: z.string(), logits: z.array(z.number()) })),
  })
  .parse(JSON.parse(await readFile(join(adapters, "adapters.json"), "utf8")));

describe("a large model", () => {
  let plain: Device;
  let fixed: Device;
  let folder = "";
  beforeAll(async () => {
    plain = await createCpuDevice({ threads: 1 });
    fixed = await createCpuDevice({ threads: 1, fixedFrom: 0, runtime: "c-api" });
  });
  afterAll(async () => {
    await plain.close();
    await fixed.close();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "lfp-fixed-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** A copy of a small checkpoint in this dtype. */
  async function stored(name: OracleModel, dtype: WeightDtype): Promise<string> {
    await saveModel(await loadModel(plain, modelFolder(name)), folder, { dtype });
    return folder;
  }

  it.each([
    ["gemma", "BF16"],
    ["gemma2", "F16"],
    ["qwen3", "BF16"],
    ["gpt-neo", "F32"],
    ["gpt2", "BF16"],
  ] as const)("%s in %s gives the bytes that its weights in F32 give", async (name, dtype) => {
    const path = await stored(name, dtype);
    const [own, wide] = [await loadModel(fixed, path), await loadModel(plain, path)];
    expect([own.isFixed, wide.isFixed]).toEqual([true, undefined]);
    const ids = [Int32Array.of(2, 3, 5, 7, 11, 13), Int32Array.of(1, 4, 9, 16, 25, 36)];
    expect(await logitsFor(fixed, own, ids)).toEqual(await logitsFor(plain, wide, ids));
    await own.store.dispose();
  });

  it.each(["gemma", "gpt2"] as const)("%s takes the memory that it asked for", async (name) => {
    const path = await stored(name, "F16");
    const counted = await countingReads(fixed);
    const model = await loadModel(counted.device, path);
    expect(counted.moved()).toBe(counted.admitted());
    await model.store.dispose();
  });

  it("has the gradients of adapters that its weights in F32 give", async () => {
    const path = await stored("gemma", "BF16");
    const [own, wide] = [await adapterGradients(fixed, path), await adapterGradients(plain, path)];
    expect(Object.keys(own).length).toBeGreaterThan(20);
    expect(own).toEqual(wide);
  });

  it("is held fixed even where all of its weights are to be trained, which the device has no room for", async () => {
    const model = await loadModel(fixed, modelFolder("gemma"), { isTrained: true });
    expect(model.isFixed).toBe(true);
    await model.store.dispose();
  });

  it.each(peft.cases)("gives the logits that PEFT gives with adapters, which stay adapters: $name", async (one) => {
    const model = await loadModel(fixed, join(adapters, one.name));
    const ids = peft.ids.map((row) => Int32Array.from(row));
    expectClose("logits", await logitsFor(fixed, model, ids), one.logits, { absolute: 1e-4, relative: 1e-4 });
    await model.store.dispose();
  });

  it("is held once for a model and its adapters in one program, and freed with the last of them", async () => {
    const [one] = peft.cases;
    const base = fileURLToPath(new URL(`../../test/fixtures/models/${one?.base}`, import.meta.url));
    const counted = await countingReads(fixed);
    const pair = {
      tuned: await loadModel(counted.device, join(adapters, one?.name ?? ""), { prefix: "tuned." }),
      base: await loadModel(counted.device, base, { prefix: "base." }),
    };
    expect(counted.created()).toBe(1);
    const scorer = await LogRatioScorer.create(counted.device, pair, { shape: [1, 6] });
    const [scores] = await scorer.score([Int32Array.of(2, 3, 5, 7, 11, 13)]);
    expect(Math.max(...(scores?.logRatio.subarray(1).map(Math.abs) ?? []))).toBeGreaterThan(1e-3);
    await pair.base.store.dispose();
    await loadModel(counted.device, base).then(({ store }) => store.dispose());
    expect(counted.created()).toBe(1);
    await pair.tuned.store.dispose();
    await loadModel(counted.device, base).then(({ store }) => store.dispose());
    expect(counted.created()).toBe(2);
  });

  it("is read again when its file has changed", async () => {
    await cp(modelFolder("gemma"), folder, { recursive: true });
    const counted = await countingReads(fixed);
    await loadModel(counted.device, folder);
    await utimes(join(folder, "model.safetensors"), new Date(1), new Date(1));
    await loadModel(counted.device, folder);
    expect(counted.created()).toBe(2);
  });
});

describe.skipIf(!gpuIsHere)("a large model on the GPU", () => {
  let plain: Device;
  let fixed: Device;
  let folder = "";
  beforeAll(async () => {
    plain = await createGpuDevice();
    fixed = await createGpuDevice({ fixedFrom: 0 });
    folder = await mkdtemp(join(tmpdir(), "lfp-fixed-"));
    await saveModel(await loadModel(plain, modelFolder("gemma")), folder, { dtype: "BF16" });
  });
  afterAll(async () => {
    await plain.close();
    await fixed.close();
    await rm(folder, { recursive: true });
  });

  it("in BF16 has the loss and the gradients of adapters that its weights in F32 give", async () => {
    const [own, wide] = [await adapterGradients(fixed, folder), await adapterGradients(plain, folder)];
    expect(Object.keys(own).length).toBeGreaterThan(20);
    expect(own).toEqual(wide);
  });

  it("is held fixed unless all of its weights are to be trained", async () => {
    const read = await loadModel(fixed, folder);
    const trained = await loadModel(fixed, folder, { isTrained: true });
    expect([read.isFixed, trained.isFixed]).toEqual([true, undefined]);
    const name = "model.embed_tokens.weight";
    expect(await read.store.read(name)).toEqual(await trained.store.read(name));
    await trained.store.write(name, await read.store.read(name));
    for (const { store } of [read, trained]) await store.dispose();
  });
});

/** The loss of a text, and the gradients of adapters of every matrix, by number. */
async function adapterGradients(device: Device, folder: string): Promise<Record<string, Values>> {
  const base = await loadModel(device, folder);
  const targets = linearTargets(base, "all-linear");
  const model = await addLora(device, base, { rank: 2, alpha: 4, targets }, Random.fromSeed(5));
  const nodes = model.adapters.parameters.map(({ name, shape }) => ops.state(name, shape));
  const loss = nextTokenLoss(model, [1, 6]);
  const of = gradients(loss, nodes).map((gradient, at) => [`g${at}`, gradient ?? loss] as const);
  const program = await device.compile({ stores: storesOf(model), outputs: { loss, ...Object.fromEntries(of) } });
  const ids = Int32Array.of(2, 3, 5, 7, 11, 13);
  return await program.run({ ids, positions: plainPositions([1, 6]), targets: targetsOf(ids, [1, 6]) });
}

/** The same device, counting the times that weights are moved onto it, and their bytes as asked for and as moved. */
async function countingReads(
  device: Device,
): Promise<{ device: Device } & Record<"created" | "admitted" | "moved", () => number>> {
  const { fixed } = device;
  if (fixed === undefined) throw new TypeError("the device has no fixed memory");
  let [count, admitted, moved] = [0, 0, 0];
  const counting: NonNullable<Device["fixed"]> = {
    fromBytes: fixed.fromBytes,
    isRequired: fixed.isRequired,
    admit: (bytes, stored) => {
      admitted += bytes;
      return fixed.admit(bytes, stored);
    },
    create: (entries) => {
      count += 1;
      for (const { values } of entries) moved += values.byteLength;
      return fixed.create(entries);
    },
    share: (store, options) => fixed.share(store, options),
  };
  const same: Device = {
    kind: device.kind,
    description: device.description,
    fixed: counting,
    createState: (entries, purpose) => device.createState(entries, purpose),
    compile: (spec) => device.compile(spec),
    close: () => device.close(),
  };
  return { device: same, created: () => count, admitted: () => admitted, moved: () => moved };
}

async function logitsFor(device: Device, model: LoadedModel, rows: readonly Int32Array[]): Promise<ArrayLike<number>> {
  const shape = [rows.length, rows[0]?.length ?? 0] as const;
  const logits = logitsOf(model, forward(model, { shape }).hidden);
  const program = await device.compile({ stores: [model.store], outputs: { logits } });
  const ids = Int32Array.from(rows.flatMap((row) => [...row]));
  const { logits: found = new Float32Array() } = await program.run({ ids, positions: plainPositions(shape) });
  await program.dispose();
  return found;
}
