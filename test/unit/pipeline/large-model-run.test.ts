/** A whole run on a model that is treated as a large one: its weights stay BF16, and its adapters are never merged. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { loadModel, saveModel } from "../../../server/models/checkpoint.ts";
import { evaluationFile, evaluationSchema } from "../../../server/pipeline/artifacts/evaluation.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { restoreFile, restoreSchema } from "../../../server/pipeline/artifacts/restore.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

const lora = { rank: 2, alpha: 8, targets: ["query_key_value", "dense_4h_to_h"] };
const compared = ["prepare", "tune", "evaluate", "divergence", "restore"];

async function run(model: string, root: string, fixedFrom: number | undefined): Promise<void> {
  const tuning = { ...tinyExperiment.tuning, learningRate: 3e-3, lora };
  const experiment = parseExperiment({ ...tinyExperiment, model, tuning });
  const all = await planExperiment(experiment, { run: "large" });
  const plan = fixedFrom === undefined ? all.filter(({ id }) => compared.includes(id)) : all;
  const openDevice = () => createCpuDevice(fixedFrom === undefined ? {} : { fixedFrom, runtime: "c-api" });
  expect(await runPipeline(plan, root, { seed: 1, deviceClass: "cpu", queued: false, openDevice })).toEqual({
    kind: "done",
  });
}

async function resultOf<T>(root: string, stage: string, read: (folder: string) => Promise<T>): Promise<T> {
  const names = await readdir(join(root, "stages"));
  return await read(join(root, "stages", names.find((name) => name.startsWith(`${stage}-`)) ?? stage));
}

test("a run on a large model goes through to the report, with the results of one in F32 with adapters merged", async () => {
  const [model, root, plain] = [await scratchFolder(), await scratchFolder(), await scratchFolder()];
  const device = await createCpuDevice();
  await saveModel(await loadModel(device, starterFolder()), model, { dtype: "BF16" });
  await device.close();
  await run(model, join(root, "run"), 0);
  await run(model, join(plain, "run"), undefined);
  const tuned = await readdir(join(root, "run", "tuned"));
  expect(tuned).toEqual(
    expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors", "extra.safetensors"]),
  );
  expect(tuned).not.toContain("config.json");
  expect(await readdir(join(root, "run"))).toContain("report.json");
  const evaluations = [];
  const restored = [];
  for (const folder of [join(root, "run"), join(plain, "run")]) {
    evaluations.push(await resultOf(folder, "evaluate", (stage) => readJson(stage, evaluationFile, evaluationSchema)));
    restored.push(await resultOf(folder, "restore", (stage) => readJson(stage, restoreFile, restoreSchema)));
  }
  const [own, merged] = evaluations;
  expect(own?.prompts).toBe(merged?.prompts);
  expect(own?.kl.mean).toBeCloseTo(merged?.kl.mean ?? Number.NaN, 3);
  expect(own?.kl.mean).not.toBe(0);
  const [ownParts = [], mergedParts = []] = restored.map(({ parts }) => parts);
  expect(ownParts.map(({ part, parameters }) => [part, parameters])).toEqual(
    mergedParts.map(({ part, parameters }) => [part, parameters]),
  );
  for (const [at, { jointL2 }] of ownParts.entries()) expect(jointL2).toBeCloseTo(mergedParts[at]?.jointL2 ?? -1, 4);
}, 240_000);
