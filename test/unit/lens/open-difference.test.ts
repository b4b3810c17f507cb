/** Two runs of one base model hold it once, also after their GPU was lost; runs of different ones hold each. */
import { copyFile, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { Random } from "../../../server/common/random.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device, DeviceKind } from "../../../server/engine/device.ts";
import { DeviceLostError } from "../../../server/engine/errors.ts";
import { createModel, saveModel } from "../../../server/models/checkpoint.ts";
import { writeSafetensors } from "../../../server/models/safetensors.ts";
import type { openDevice } from "../../../server/pipeline/devices.ts";
import { openDifference } from "../../../server/pipeline/finished/open-difference.ts";
import { openPairLens } from "../../../server/pipeline/finished/open-pair.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const text = "It is unforgettable and awful.";
let root: string;
/** Two runs of one base model, and one of a copy of it. */
let runs: { readonly a: string; readonly b: string; readonly ofCopy: string };

beforeAll(async () => {
  root = await scratchFolder();
  const a = (await makeTinyRun(root)).folder;
  const [b, ofCopy] = [join(root, "runs", "steady"), join(root, "runs", "of-copy")];
  const device = await createCpuDevice({ threads: 1 });
  try {
    const shape = JSON.parse(await readFile(join(a, "tuned", "config.json"), "utf8"));
    await saveModel(await createModel(device, shape, Random.fromSeed(5), 0.3), join(b, "tuned"));
  } finally {
    await device.close();
  }
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    await copyFile(join(starterFolder(), name), join(b, "tuned", name));
  await mkdir(ofCopy);
  await cp(join(b, "tuned"), join(ofCopy, "tuned"), { recursive: true });
  await cp(join(root, "base"), join(root, "base-copy"), { recursive: true });
  const experiment = (folder: string, model: string) =>
    writeFile(join(folder, "experiment.json"), JSON.stringify({ preset: "quick", model }));
  // One folder, however it is spelt.
  await experiment(b, join(root, "runs", "..", "base"));
  await experiment(ofCopy, join(root, "base-copy"));
  runs = { a, b, ofCopy };
});

/**
 * Opens CPU devices and records what is held on each, by the prefix of its names, and whether it is closed. Those that
 * are opened as a GPU are lost at their first program's run.
 */
function watched() {
  const devices: { readonly kind: DeviceKind; readonly held: string[]; isClosed: boolean }[] = [];
  const open = async ({ device: choice }: Parameters<typeof openDevice>[0]): Promise<Device> => {
    const device = await createCpuDevice({ threads: 1 });
    const kind: DeviceKind = choice === "gpu" ? "gpu" : "cpu";
    const seen = { kind, held: [] as string[], isClosed: false };
    devices.push(seen);
    return {
      kind,
      description: "watched",
      createState: async (entries) => {
        seen.held.push(entries[0]?.name.split(".")[0] ?? "");
        return await device.createState(entries);
      },
      compile: async (spec) => {
        const program = await device.compile(spec);
        if (kind === "cpu") return program;
        return { dispose: () => program.dispose(), run: () => Promise.reject(new DeviceLostError("pulled out")) };
      },
      close: async () => {
        seen.isClosed = true;
        await device.close();
      },
    };
  };
  return { devices, open };
}

/** The learned reward of `a` minus that of `b`, each opened on its own. */
async function differenceOf(...sides: readonly (readonly [tuned: string, base: string])[]): Promise<number[]> {
  const [a = [], b = []] = await Promise.all(
    sides.map(async ([run, base]) => {
      const lens = await openPairLens({ tuned: join(run, "tuned"), base: join(root, base) }, { threads: 1, bos: true });
      const { learned } = await lens.readPair(text);
      await lens.close();
      return learned;
    }),
  );
  return a.map((value, at) => (value ?? Number.NaN) - (b[at] ?? Number.NaN));
}

describe("the difference of two runs", () => {
  it("holds their common base model once, and reads what the two pairs read", async () => {
    const { devices, open } = watched();
    const lens = await openDifference(runs, { open });
    expect(devices).toEqual([{ kind: "cpu", held: ["tuned", "base", "tuned"], isClosed: false }]);
    const { learned } = await lens.readPair(text);
    const expected = await differenceOf([runs.a, "base"], [runs.b, "base"]);
    expect(learned).toHaveLength(expected.length);
    for (const [at, value] of expected.entries()) expect(learned[at] ?? Number.NaN).toBeCloseTo(value, 5);
    await lens.close();
    expect(devices.map(({ isClosed }) => isClosed)).toEqual([true]);
  });

  it("holds the base models of different folders apart", async () => {
    const { devices, open } = watched();
    const lens = await openDifference({ a: runs.a, b: runs.ofCopy }, { open });
    expect(devices.map(({ held }) => held)).toEqual([
      ["tuned", "base"],
      ["tuned", "base"],
    ]);
    await lens.close();
    expect(devices.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });

  it("holds the base model once on the CPU after the GPU was lost", async () => {
    const { devices, open } = watched();
    const moved: string[] = [];
    const lens = await openDifference(runs, { device: "gpu", open, onFallback: ({ tuned }) => moved.push(tuned) });
    const { learned } = await lens.readPair(text);
    const expected = await differenceOf([runs.a, "base"], [runs.b, "base"]);
    for (const [at, value] of expected.entries()) expect(learned[at] ?? Number.NaN).toBeCloseTo(value, 5);
    expect(new Set(moved)).toEqual(new Set([join(runs.a, "tuned"), join(runs.b, "tuned")]));
    expect(devices).toEqual([
      { kind: "gpu", held: ["tuned", "base", "tuned"], isClosed: true },
      { kind: "cpu", held: ["tuned", "base", "tuned"], isClosed: false },
    ]);
    await lens.close();
    expect(devices.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });

  it("reads a run whose tuned folder is an adapter, as that of a large model is", async () => {
    const adapted = join(root, "runs", "adapted");
    await mkdir(join(adapted, "tuned"), { recursive: true });
    await copyFile(join(runs.b, "experiment.json"), join(adapted, "experiment.json"));
    const lora = { peft_type: "LORA", base_model_name_or_path: join(root, "base"), r: 1, lora_alpha: 4 };
    await writeFile(join(adapted, "tuned", "adapter_config.json"), JSON.stringify(lora));
    const module = "base_model.model.gpt_neox.layers.0.mlp.dense_4h_to_h";
    await writeSafetensors(join(adapted, "tuned", "adapter_model.safetensors"), [
      { name: `${module}.lora_A.weight`, dtype: "F32", shape: [1, 32], data: new Float32Array(32).fill(0.5) },
      {
        name: `${module}.lora_B.weight`,
        dtype: "F32",
        shape: [16, 1],
        data: Float32Array.from({ length: 16 }, (_, at) => Math.sin(at + 1)),
      },
    ]);
    const lens = await openDifference({ a: runs.a, b: adapted }, { threads: 1 });
    const { learned } = await lens.readPair(text);
    const expected = await differenceOf([runs.a, "base"], [adapted, "base"]);
    expect(learned).toHaveLength(expected.length);
    for (const [at, value] of expected.entries()) expect(learned[at] ?? Number.NaN).toBeCloseTo(value, 5);
    await lens.close();
  });

  it("leaves no device open where one of the two alone has moved", async () => {
    const { devices, open } = watched();
    const lens = await openDifference(runs, { device: "gpu", open });
    await lens.a.readPair(text);
    expect(devices.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    await lens.close();
    expect(devices.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });

  it("leaves no device open where the second cannot be opened", async () => {
    const { devices, open } = watched();
    const broken = join(root, "runs", "broken");
    await cp(runs.b, broken, { recursive: true });
    await writeFile(join(broken, "tuned", "model.safetensors"), "none");
    await expect(openDifference({ a: runs.a, b: broken }, { open })).rejects.toThrow();
    expect(devices.map(({ isClosed }) => isClosed)).toEqual([true]);
  });
});
