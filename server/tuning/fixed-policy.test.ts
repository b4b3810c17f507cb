import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { loadModel, saveModel } from "../models/checkpoint.ts";
import { createDpoTrainer, type DpoMetrics } from "./dpo.ts";
import { DpoConfig, dpoPresets } from "./dpo-config.ts";
import { openPolicy } from "./policy.ts";
import { scorePairs } from "./score-pairs.ts";
import type { TokenPair } from "./token-pair.ts";

const lora = { rank: 4, alpha: 8, targets: "all-linear" } as const;
const pairs: TokenPair[] = [7, 11, 19, 23].map((seed) => ({
  chosen: { prompt: Int32Array.of(2, seed, 5), answer: Int32Array.of(seed + 1, 3, 9, 4) },
  rejected: { prompt: Int32Array.of(2, seed, 5), answer: Int32Array.of(8, seed + 2, 6) },
}));

let plain: Device;
let fixed: Device;
let folder = "";
beforeAll(async () => {
  plain = await createCpuDevice({ threads: 1 });
  fixed = await createCpuDevice({ threads: 1, fixedFrom: 0, runtime: "c-api" });
  folder = await mkdtemp(join(tmpdir(), "lfp-fixed-policy-"));
  await saveModel(await loadModel(plain, modelFolder("gemma")), join(folder, "base"), { dtype: "BF16" });
});
afterAll(async () => {
  await plain.close();
  await fixed.close();
  await rm(folder, { recursive: true });
});

it("DPO trains a large model's adapters as those of one in F32, and saves them alone, as PEFT reads them", async () => {
  const config = DpoConfig.parse({
    ...dpoPresets["quick-preferences"],
    warmupSteps: 0,
    steps: 4,
    batchSize: 2,
    pairsAtOnce: 2,
    learningRate: 1e-2,
    reference: "once",
    lora,
  });
  const runs: DpoMetrics[][] = [];
  const [base, tuned] = [join(folder, "base"), join(folder, "tuned")];
  for (const device of [plain, fixed]) {
    const reference = await loadModel(device, base);
    const loadPolicy = () => loadModel(device, base);
    const policy = await openPolicy({ device, reference, loadPolicy }, config.lora, Random.fromSeed(3));
    const trainer = await createDpoTrainer({
      device,
      policy,
      reference,
      pairs,
      config,
      random: Random.fromSeed(4),
    });
    const metrics: DpoMetrics[] = [];
    while (!trainer.done) metrics.push((await trainer.step()).metrics);
    runs.push(metrics);
    if (device === fixed) await trainer.save(tuned);
    const live = await scorePairs(device, policy, pairs, { pairsAtOnce: 2 });
    if (device === fixed) {
      const saved = await scorePairs(fixed, await loadModel(fixed, tuned), pairs, { pairsAtOnce: 2 });
      const merged = await scorePairs(plain, await loadModel(plain, tuned), pairs, { pairsAtOnce: 2 });
      const numbers = (scores: typeof live): number[] => scores.flatMap(({ chosen, rejected }) => [chosen, rejected]);
      expect(numbers(saved)).toEqual(numbers(live));
      expectClose("log-probabilities", numbers(merged), numbers(live), { absolute: 1e-4, relative: 1e-5 });
    }
    await trainer.dispose();
  }
  expect(runs[1]).toEqual(runs[0]);
  expect(runs[1]?.[3]?.loss).toBeLessThan(runs[1]?.[0]?.loss ?? 0);
  expect((await readdir(tuned)).toSorted()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
});

it("a large model is refused what would change its weights", async () => {
  const reference = await loadModel(fixed, join(folder, "base"));
  const input = { device: fixed, reference, loadPolicy: () => loadModel(fixed, join(folder, "base")) };
  await expect(openPolicy(input, null, Random.fromSeed(1))).rejects.toThrow(
    'train adapters (in the tuning\'s settings "lora": {"rank": 16, "alpha": 32})',
  );
  const adapted = { ...input, reference: { ...reference, adapted: { weights: 3, deltaNorm: 1 } } };
  await expect(openPolicy(adapted, lora, Random.fromSeed(1))).rejects.toThrow("adapters of a large model");
});
