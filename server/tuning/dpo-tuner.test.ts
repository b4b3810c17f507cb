import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { collected } from "../../test/support/saved-state.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import { loadTokenizer } from "../models/tokenizer.ts";
import { plainReward } from "../rewards/reward.ts";
import type { CheckpointContent } from "../runs/stage.ts";
import { DpoConfig, dpoPresets } from "./dpo-config.ts";
import { openDpoTuner } from "./dpo-tuner.ts";
import { ppoPresets } from "./ppo-config.ts";
import { paperSampling } from "./sampling-config.ts";
import type { PreparationProgress, TunerInput } from "./tuner.ts";
import { keyedSettings } from "./tunings.ts";

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

it("has keys that tell results of pairs read packed from those before; PPO's are as they were", () => {
  expect(keyedSettings(config)).toMatchObject({ kind: "dpo", pairsAs: "packed" });
  expect(Object.keys(keyedSettings({ ...ppoPresets.quick }))).not.toContain("pairsAs");
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
  const saved = await collected(first.capture());
  const askedAgain: number[] = [];
  await using second = await openDpoTuner(await inputOf(askedAgain), config, saved);
  expect(askedAgain).toEqual([]);
  expect(second.done).toBe(2);
  while (second.done < second.steps) got.push(await second.step());
  expect(got).toEqual(expected);
  await second.save(folder);
  expect((await loadModel(device, folder)).config.modelType).toBe("gpt_neox");
}, 60_000);

it("tells how many pairs it has, and goes on sampling from a checkpoint with the same bits", async () => {
  const told: PreparationProgress[] = [];
  const captured: CheckpointContent[] = [];
  const watched = async (asked: number[]): Promise<TunerInput> => ({
    ...(await inputOf(asked)),
    onPrepared: async (progress, capture) => {
      told.push(progress);
      captured.push(capture());
    },
  });
  await using whole = await openDpoTuner(await watched([]), config);
  const [first, second, third, ...read] = told;
  expect([first, second, third].map((one) => one?.unit)).toEqual(["pairs", "pairs", "pairs"]);
  expect(first?.done).toBeGreaterThan(0);
  expect(third?.done).toBe(third?.total);
  expect(read.map(({ unit }) => unit)).toContain("pairs read by the reference");
  const saved = captured.slice(0, 2);
  for (const [at, content] of [...saved, captured.at(-1)].entries()) {
    if (content === undefined) throw new Error("nothing was captured");
    const asked: number[] = [];
    await using again = await openDpoTuner(await watched(asked), config, await collected(content));
    expect(asked).toEqual(Array.from({ length: Math.max(0, 2 - at) }, () => 24));
    expect((await collected(again.capture())).state).toEqual((await collected(whole.capture())).state);
    expect(await (await collected(again.capture())).read("pairs.json")).toEqual(
      await (await collected(whole.capture())).read("pairs.json"),
    );
  }
  await expect(
    openDpoTuner({ ...(await inputOf([])), onPrepared: () => Promise.reject(new Error("asked to stop")) }, config),
  ).rejects.toThrow("asked to stop");
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

describe("pairs of the data", () => {
  const fromData = DpoConfig.parse({
    ...config,
    pairs: { from: "data", tokens: { rule: "trl-1", maxTokens: 64 } },
  });
  const pairs = Array.from({ length: 20 }, (_, at) => ({
    prompt: `Film ${at} was`,
    chosen: ` good, and ${at} people said so.`,
    rejected: ` bad, and ${at} people left.`,
  }));

  it("are learned from without sampling or reward, and resume with the same bits, and no text of theirs is shown", async () => {
    const asked: number[] = [];
    const input = async () => ({ ...(await inputOf(asked)), texts: [], pairs });
    await using whole = await openDpoTuner(await input(), fromData);
    const expected: unknown[] = [];
    while (whole.done < whole.steps) expected.push(await whole.step());
    await using first = await openDpoTuner(await input(), fromData);
    const got = [await first.step(), await first.step()];
    await using second = await openDpoTuner(await input(), fromData, await collected(first.capture()));
    while (second.done < second.steps) got.push(await second.step());
    expect(got).toEqual(expected);
    expect(got.map(({ shown }) => shown)).toEqual([{}, {}, {}, {}]);
    expect(asked).toEqual([]);
  }, 60_000);

  it("of which too few are left for a batch are refused", async () => {
    const input = { ...(await inputOf([])), texts: [], pairs: pairs.slice(0, 7) };
    await expect(openDpoTuner(input, fromData)).rejects.toThrow("7 pairs can be learned from, but a batch needs 8");
  });
});

/** How often a text says e: a reward of the completion alone, so that whole texts of one prompt are ordered alike. */
const countOf = (text: string): number => text.split("e").length;

async function inputOf(asked: number[]): Promise<TunerInput> {
  const starter = fileURLToPath(new URL("../../assets/starter", import.meta.url));
  const reward = plainReward("test/letters", "completion", countOf);
  const load = (): Promise<LoadedModel> => loadModel(device, starter);
  return {
    device,
    reference: await load(),
    loadPolicy: load,
    tokenizer: await loadTokenizer(starter),
    texts: Array.from(
      { length: 30 },
      (_, at) => `Film number ${at} was seen by everyone. ${"It went on and on. ".repeat(20)}`,
    ),
    pairs: [],
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
