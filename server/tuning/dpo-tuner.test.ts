import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import { loadTokenizer } from "../models/tokenizer.ts";
import { plainReward } from "../rewards/reward.ts";
import type { Checkpoint } from "../runs/stage.ts";
import { DpoConfig, dpoPresets } from "./dpo-config.ts";
import { openDpoTuner } from "./dpo-tuner.ts";
import { paperSampling } from "./sampling-config.ts";
import type { Tuner, TunerInput } from "./tuner.ts";

let device: Device;
let folder = "";
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-dpo-tuner-"));
});
afterEach(() => rm(folder, { recursive: true }));

const config = DpoConfig.parse({
  ...dpoPresets["quick-preferences"],
  pairs: { from: "reward", prompts: 24, completions: 3, promptsAtOnce: 8 },
  steps: 4,
  batchSize: 8,
  pairsAtOnce: 8,
  learningRate: 3e-3,
});

it("samples its pairs once, learns from them, and goes on from a checkpoint with the same bits without sampling", async () => {
  const asked: number[] = [];
  await using whole = await openDpoTuner(await inputOf(asked), config);
  expect(asked).toEqual([24, 24, 24]);
  expect(whole.measures.map(({ column }) => column)).toContain("rewards/margins");
  const expected: unknown[] = [];
  while (whole.done < whole.steps) expected.push(await whole.step());
  await using first = await openDpoTuner(await inputOf([]), config);
  const got: unknown[] = [await first.step(), await first.step()];
  const saved = await collected(first);
  const askedAgain: number[] = [];
  await using second = await openDpoTuner(await inputOf(askedAgain), config, saved);
  expect(askedAgain).toEqual([]);
  expect(second.done).toBe(2);
  while (second.done < second.steps) got.push(await second.step());
  expect(got).toEqual(expected);
  await second.save(folder);
  expect((await loadModel(device, folder)).config.modelType).toBe("gpt_neox");
}, 60_000);

it("shows what it learned from, and logs what it says that it measures", async () => {
  await using tuner = await openDpoTuner(await inputOf([]), config);
  const { metrics, shown } = await tuner.step();
  for (const { column } of tuner.measures) expect(metrics[column]).toEqual(expect.any(Number));
  const { chosen = "", rejected = "" } = shown;
  expect(countOf(chosen)).toBeGreaterThan(countOf(rejected));
});

it("ends with the reason of its signal while it samples", async () => {
  const input = await inputOf([]);
  await expect(openDpoTuner({ ...input, signal: AbortSignal.abort(new Error("no more")) }, config)).rejects.toThrow(
    "no more",
  );
});

/** How often a text says e: a reward of the completion alone, so that whole texts of one prompt are ordered alike. */
const countOf = (text: string): number => text.split("e").length;

async function inputOf(asked: number[]): Promise<TunerInput> {
  const starter = fileURLToPath(new URL("../../assets/starter", import.meta.url));
  const reward = plainReward("test/letters", "completion", countOf);
  const load = (): Promise<LoadedModel> => loadModel(device, starter);
  return {
    device,
    policy: await load(),
    reference: await load(),
    tokenizer: await loadTokenizer(starter),
    texts: Array.from(
      { length: 30 },
      (_, at) => `Film number ${at} was seen by everyone. ${"It went on and on. ".repeat(20)}`,
    ),
    reward: {
      ...reward,
      score: async (batch, signal) => {
        asked.push(batch.length);
        return await reward.score(batch, signal);
      },
    },
    random: Random.fromSeed(1),
    sampling: { ...paperSampling, rows: 8, scoredRows: 8 },
    text: { prependBos: true },
  };
}

async function collected(tuner: Tuner): Promise<Checkpoint> {
  const { state, files = {} } = tuner.capture();
  const bytes = new Map<string, Uint8Array>();
  for (const [name, content] of Object.entries(files)) {
    const parts: Uint8Array[] = [];
    if (typeof content === "string") parts.push(Buffer.from(content));
    else if (content instanceof Uint8Array) parts.push(content);
    else for await (const part of content) parts.push(part.slice());
    bytes.set(name, Buffer.concat(parts));
  }
  return {
    state,
    fileNames: [...bytes.keys()],
    read: async (name) => bytes.get(name) ?? new Uint8Array(),
  };
}
