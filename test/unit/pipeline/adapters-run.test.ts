/** A run tunes adapters, and another one takes the folder of adapters that it saved as its tuned model. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { divergenceFile, divergenceSchema } from "../../../server/pipeline/artifacts/divergence.ts";
import { evaluationFile, evaluationSchema } from "../../../server/pipeline/artifacts/evaluation.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { runPaths } from "../../../server/runs/run-folder.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

const lora = { rank: 2, alpha: 8, targets: ["query_key_value", "dense_4h_to_h"] };

async function run(changes: object, root: string) {
  const experiment = parseExperiment({ ...tinyExperiment, divergence: { layers: 6 }, ...changes });
  const plan = (await planExperiment(experiment, { run: "adapters" })).filter(({ id }) =>
    ["prepare", "tune", "evaluate", "divergence"].includes(id),
  );
  expect(await runPipeline(plan, root, { seed: 1, deviceClass: "cpu", queued: false })).toEqual({ kind: "done" });
  return {
    divergence: await readJson(root, divergenceFile, divergenceSchema),
    evaluation: await readJson(
      join(root, "stages", stageOf(await readdir(join(root, "stages")))),
      evaluationFile,
      evaluationSchema,
    ),
  };
}

const stageOf = (names: readonly string[]): string => names.find((name) => name.startsWith("evaluate")) ?? "";

test("a run tunes adapters; their folder is the tuned model of another run, with the same results", async () => {
  const folder = await scratchFolder();
  const tuned = join(folder, "tuned-run");
  const tuning = { ...tinyExperiment.tuning, learningRate: 3e-3, lora };
  const own = await run({ name: "tuned-run", tuning }, tuned);
  const adapter = join(tuned, "tuned", "adapter");
  expect(new Set(await readdir(adapter))).toEqual(new Set(["adapter_config.json", "adapter_model.safetensors"]));
  const given = await run({ name: "given-run", tuning: { kind: "given", model: adapter } }, join(folder, "given-run"));
  expect(given.divergence).toEqual(own.divergence);
  expect(given.evaluation).toEqual(own.evaluation);
  expect(own.evaluation.kl.mean).not.toBe(0);
  expect(own.divergence.layers.every(({ jointL2 }) => jointL2 > 0)).toBe(true);
  const log = await readFile(runPaths(tuned).log, "utf8");
  expect(log).toContain('"policyLoss"');
}, 120_000);

test("what adapters change counts beside them: a stage knows its input by both", async () => {
  const [folder, base, adapter] = [await scratchFolder(), await scratchFolder(), await scratchFolder()];
  for (const name of await readdir(starterFolder())) await copyFile(join(starterFolder(), name), join(base, name));
  const plain = new URL("../../fixtures/adapters/plain/", import.meta.url);
  await mkdir(folder, { recursive: true });
  const config: object = JSON.parse(await readFile(new URL("adapter_config.json", plain), "utf8"));
  const changed = { ...config, base_model_name_or_path: base };
  await writeFile(join(adapter, "adapter_config.json"), JSON.stringify(changed));
  await copyFile(new URL("adapter_model.safetensors", plain), join(adapter, "adapter_model.safetensors"));
  const digest = async (): Promise<unknown> => {
    const experiment = parseExperiment({ ...tinyExperiment, model: base, tuning: { kind: "given", model: adapter } });
    const plan = await planExperiment(experiment, { run: "adapters" });
    const tuned = plan.find(({ id }) => id === "divergence")?.inputs["tuned"];
    return tuned !== undefined && "digest" in tuned ? tuned.digest : undefined;
  };
  const before = await digest();
  expect(before).toEqual(expect.any(String));
  await writeFile(join(base, "README.md"), "another card");
  expect(await digest()).toBe(before);
  await writeFile(join(base, "generation_config.json"), "{}");
  const after = await digest();
  expect(after).not.toBe(before);
  await writeFile(join(adapter, "adapter_config.json"), JSON.stringify({ ...changed, lora_alpha: 9 }));
  expect(await digest()).not.toBe(after);
});
