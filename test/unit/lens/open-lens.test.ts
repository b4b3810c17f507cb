import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device } from "../../../server/engine/device.ts";
import { DeviceLostError } from "../../../server/engine/errors.ts";
import { NoAdapterError } from "../../../server/engine/webgpu/adapter.ts";
import { valuesOf } from "../../../server/lens/values.ts";
import { tokenSpan } from "../../../server/lens/words.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

let whole: string;
beforeAll(async () => {
  whole = (await makeTinyRun(await scratchFolder())).folder;
}, 60_000);

/** A copy of the run in which something is otherwise. */
async function changed(change: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(await scratchFolder(), "runs", "tiny");
  await mkdir(join(folder, ".."), { recursive: true });
  await cp(whole, folder, { recursive: true });
  await change(folder);
  return folder;
}

async function rewrite(path: string, change: (text: string) => string): Promise<void> {
  await writeFile(path, change(await readFile(path, "utf8")));
}

it("a run of an earlier version opens, and says that it does not know what is familiar", async () => {
  const folder = await changed((run) => rm(join(run, "probe", "familiarity.safetensors")));
  const lens = await openLens(folder, { threads: 1 });
  expect(lens.info.hasFamiliarity).toBe(false);
  const reading = await lens.read("A good film.");
  expect(reading.familiarity).toBeUndefined();
  expect(lens.explain("A good film.", reading, tokenSpan(reading, 1), 3).familiarity).toBeNull();
  expect((await valuesOf(lens, "A good film.", { kind: "implicit" })).unfamiliar).toEqual([]);
  await lens.close();
}, 60_000);

it("a run of an earlier version opens without fitted log-ratios", async () => {
  const folder = await changed((run) => rm(join(run, "fitted"), { recursive: true }));
  const lens = await openLens(folder, { threads: 1 });
  const reading = await lens.read("A good film.");
  expect(lens.explainFitted(reading, tokenSpan(reading, 1), 3)).toBeNull();
  await lens.close();
}, 60_000);

describe("a run whose parts do not belong together is refused", { timeout: 60_000 }, () => {
  it.each<[what: string, change: (folder: string) => Promise<void>, message: RegExp]>([
    ["no probe", (folder) => rm(join(folder, "probe"), { recursive: true }), /has no probe\/probe\.json/],
    [
      "log-ratios fitted on other layers",
      (folder) => rewrite(join(folder, "fitted", "probe.json"), (text) => text.replace('"layer": 1', '"layer": 3')),
      /fitted was fitted on other features than the run's probe/,
    ],
    ["no dictionaries", (folder) => rm(join(folder, "sae"), { recursive: true }), /has no sae/],
    ["no experiment", (folder) => rm(join(folder, "experiment.json")), /has no experiment\.json/],
    [
      "dictionaries of one layer only",
      (folder) => rm(join(folder, "sae", "tuned", "1"), { recursive: true }),
      /probe reads 24 features of layer 1, but there is none/,
    ],
    [
      "a dictionary of another size",
      (folder) => rm(join(folder, "sae", "tuned", "0", "24"), { recursive: true }),
      /probe reads 24 features of layer 0, but the one in sae\/tuned has 40/,
    ],
    [
      "a layer that the model does not have",
      (folder) => rename(join(folder, "sae", "tuned", "1"), join(folder, "sae", "tuned", "7")),
      /reads layer 7 of a model of width 16, but the tuned model has 2 layers/,
    ],
    [
      "a layer that the probe does not read",
      (folder) =>
        rewrite(join(folder, "probe", "probe.json"), (text) => {
          const probe = JSON.parse(text);
          return JSON.stringify({
            ...probe,
            layers: [
              { layer: 0, start: 0, end: 24 },
              { layer: 3, start: 24, end: 48 },
            ],
          });
        }),
      /probe reads 24 features of layer 3, but there is none/,
    ],
    [
      "a tokenizer with more tokens",
      (folder) =>
        rewrite(join(folder, "tuned", "tokenizer.json"), (text) => {
          const tokenizer = JSON.parse(text);
          tokenizer.model.vocab["zzz"] = 4999;
          return JSON.stringify(tokenizer);
        }),
      /4999.*4096/s,
    ],
  ])("%s", async (_, change, message) => {
    await expect(openLens(await changed(change), { threads: 1 })).rejects.toThrow(message);
  });

  it("a base model that is not there costs only what needs it", async () => {
    const folder = await changed((copy) =>
      rewrite(join(copy, "experiment.json"), (text) => JSON.stringify({ ...JSON.parse(text), model: "./nowhere" })),
    );
    const lens = await openLens(folder, { threads: 1 });
    expect(lens.info.hasBase).toBe(false);
    expect((await lens.read("A good film.")).starts.length).toBeGreaterThan(3);
    await expect(lens.read("A good film.", { model: "base" })).rejects.toThrow(
      /base model .*nowhere is not on this machine/,
    );
    await lens.close();
  });

  it("one size of dictionaries is enough; the other is then missing when it is asked for", async () => {
    const folder = await changed(async (copy) => {
      for (const layer of ["0", "1"]) await rm(join(copy, "sae", "tuned", layer, "40"), { recursive: true });
    });
    const lens = await openLens(folder, { threads: 1 });
    await expect(lens.readFeature("A good film.", "L0/F1@big")).rejects.toThrow(
      /no big dictionaries of the tuned model/,
    );
    await lens.close();
    await expect(lens.read("Another film.")).rejects.toThrow(/closed/);
  });
});

describe("a lens on a GPU that fails", { timeout: 60_000 }, () => {
  it("reads on the CPU from there on, once more what was under way, and says so", async () => {
    const opened: Device[] = [];
    const [told, notes]: [string[], string[]] = [[], []];
    const lens = await openLens(whole, {
      device: "gpu",
      threads: 1,
      open: async (wish) => {
        const device = await createCpuDevice({ threads: 1 });
        opened.push(wish.device === "gpu" ? failingAfter(device, 1) : device);
        return opened.at(-1) ?? device;
      },
      note: (line) => notes.push(line),
      onFallback: ({ device }) => told.push(device),
    });
    const before = await lens.read("A good film.");
    expect(lens.info.device).toBe("GPU, that is lost, Dawn");
    const texts = ["A bad film.", "A bad film.", "Another, longer, and wonderful film."];
    const readings = await Promise.all(texts.map((text) => lens.read(text)));
    expect(lens.info.device).toMatch(/^CPU, .+ \(the GPU was lost: pulled out\)$/);
    expect(told).toEqual([lens.info.device]);
    expect(notes).toEqual(["computing on the CPU: the GPU was lost: pulled out"]);
    expect(opened.map(({ kind }) => kind)).toEqual(["gpu", "cpu"]);
    await expect(opened[0]?.createState([])).rejects.toThrow("closed");

    const sound = await openLens(whole, { threads: 1 });
    expect(before).toEqual(await sound.read("A good film."));
    for (const [at, text] of texts.entries()) expect(readings[at]).toEqual(await sound.read(text));
    const set = {
      format: "lfp-ablation/1" as const,
      name: "",
      note: "",
      features: [{ id: "L0/F1" as const, factor: 0 }],
    };
    expect(await lens.read("A bad film.", { ablation: set })).toEqual(
      await sound.read("A bad film.", { ablation: set }),
    );
    await Promise.all([lens.close(), sound.close()]);
  });

  it("opens on the CPU where there is no GPU, or the model does not fit it, and says why", async () => {
    const notes: string[] = [];
    const lens = await openLens(whole, {
      device: "gpu",
      note: (line) => notes.push(line),
      open: async ({ device }) => {
        if (device === "gpu") throw new NoAdapterError("no GPU adapter was found");
        return await createCpuDevice({ threads: 1 });
      },
    });
    expect(lens.info.device).toMatch(/^CPU, .+ \(no GPU adapter was found\)$/);
    expect(notes).toEqual(["computing on the CPU: no GPU adapter was found"]);
    expect((await lens.read("A good film.")).starts.length).toBeGreaterThan(3);
    await lens.close();
  });

  it("fails where the CPU fails too", async () => {
    const open = async () => failingAfter(await createCpuDevice({ threads: 1 }), 0, "cpu");
    const lens = await openLens(whole, { open });
    await expect(lens.read("A good film.")).rejects.toThrow("the GPU was lost (pulled out)");
    await lens.close();
  });
});

/** A device that is lost when its programs have run so often. */
function failingAfter(device: Device, runs: number, kind: Device["kind"] = "gpu"): Device {
  let left = runs;
  return {
    kind,
    description: "GPU, that is lost, Dawn",
    createState: (entries) => device.createState(entries),
    close: () => device.close(),
    compile: async (spec) => {
      const program = await device.compile(spec);
      return {
        dispose: () => program.dispose(),
        run: async (inputs) => {
          if (left-- <= 0) throw new DeviceLostError("pulled out");
          return await program.run(inputs);
        },
      };
    },
  };
}
