import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseExperiment } from "../pipeline/experiment/resolve.ts";
import { runPipeline } from "../runs/run.ts";
import { type PlannedStage, planStage, type Stage } from "../runs/stage.ts";
import { refuseLargeStages } from "./refuse-large-stages.ts";

const limits = { machineBytes: 2 ** 34, heapBytes: 2 ** 20 };
const tuningIsRefused = "tuning.lora: tuning takes about";
const dictionariesAreRefused = "sae.bufferTokens: training dictionaries takes about";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "lfp-large-"));
  await mkdir(join(root, "model"));
  const config = {
    model_type: "gpt_neox",
    vocab_size: 1000,
    hidden_size: 256,
    num_hidden_layers: 6,
    num_attention_heads: 4,
    intermediate_size: 1024,
    max_position_embeddings: 512,
  };
  await writeFile(join(root, "model", "config.json"), JSON.stringify(config));
});
afterAll(async () => await rm(root, { recursive: true }));

/** A plan of the stages that need most memory; `rate` is a setting of the first. */
function planOf(rate: number): PlannedStage[] {
  const stage: Stage<{ rate: number }, never> = { name: "large", codeVersion: 1, run: async () => {} };
  const next: Stage<{ rate: number }, "tuned"> = { name: "next", codeVersion: 1, run: async () => {} };
  const tune = planStage({ id: "tune", stage, settings: { rate }, inputs: {} });
  return [tune, planStage({ id: "autoencoders", stage: next, settings: { rate: 1 }, inputs: { tuned: tune } })];
}

async function compute(plan: readonly PlannedStage[], name: string, shared?: string): Promise<void> {
  const options = { seed: 1, deviceClass: "cpu", queued: false, shared };
  expect(await runPipeline(plan, join(root, name), options)).toEqual({ kind: "done" });
}

function check(plan: readonly PlannedStage[], name: string, shared?: string): Promise<void> {
  const experiment = parseExperiment({ preset: "quick", model: join(root, "model"), seed: 1 });
  return refuseLargeStages({ experiment, folder: join(root, name) }, plan, { deviceClass: "cpu", shared, limits });
}

it("a stage that the run has computed already is not counted; those that come after it are", async () => {
  const [tune, autoencoders] = planOf(1);
  if (tune === undefined || autoencoders === undefined) throw new TypeError("the plan has two stages");
  await expect(check(planOf(1), "own")).rejects.toThrow(tuningIsRefused);
  await compute([tune], "own");
  const asked = check([tune, autoencoders], "own");
  await expect(asked).rejects.toThrow(dictionariesAreRefused);
  await expect(asked).rejects.not.toThrow(tuningIsRefused);
  await compute([tune, autoencoders], "own");
  await check(planOf(1), "own");
  await expect(check(planOf(2), "own")).rejects.toThrow(tuningIsRefused);
});

it("nor is one that another run left in the folder in which both share their stages", async () => {
  const shared = join(root, "shared_stages");
  await mkdir(shared);
  await compute(planOf(3), "first", shared);
  await check(planOf(3), "second", shared);
  await expect(check(planOf(3), "second")).rejects.toThrow(tuningIsRefused);
  await expect(check(planOf(4), "second", shared)).rejects.toThrow(tuningIsRefused);
  await rm(shared, { recursive: true });
  await expect(check(planOf(3), "second", shared)).rejects.toThrow(tuningIsRefused);
});
