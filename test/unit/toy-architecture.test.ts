/** Walks CONTRIBUTING's "To add an architecture": a file, a row, and everything that reads, samples, trains and compares models works with it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { createOptimizer } from "../../server/engine/optimizer.ts";
import { architectures } from "../../server/models/architectures.ts";
import { loadModel, saveModel } from "../../server/models/checkpoint.ts";
import { Generator } from "../../server/models/generate.ts";
import { LogRatioScorer } from "../../server/models/log-ratio.ts";
import { parametersOf } from "../../server/models/model.ts";
import { nextTokenLoss, targetsOf } from "../../server/models/next-token-loss.ts";
import { openParameters } from "../../server/models/parameters.ts";
import { writeSafetensors } from "../../server/models/safetensors.ts";
import { divergenceOf, parameterChanges } from "../../server/sae/divergence.ts";
import { toyArchitecture } from "../support/toy-architecture.ts";

// The row that a new architecture adds to the table.
Object.assign(architectures, { toy: toyArchitecture });

const config = { model_type: "toy", vocab_size: 11, width: 4, layers: 2, eos_token_id: 1 };
let folder = "";
let device: Device;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-toy-"));
  device = await createCpuDevice({ threads: 1 });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  const random = Random.fromSeed(3);
  const parameters = toyArchitecture.parameters(toyArchitecture.parseConfig(config));
  await writeSafetensors(
    join(folder, "model.safetensors"),
    parameters.map(({ name, shape, role }) => ({
      name,
      dtype: "F32",
      shape,
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
        role === "norm" ? 1 : 2 * random.uniform() - 1,
      ),
    })),
  );
});
afterAll(async () => {
  await device.close();
  await rm(folder, { recursive: true });
});

it("a toy of two layers loads, samples, learns, is saved, and is compared with what it was", async () => {
  const model = await loadModel(device, folder);
  expect(model.config).toMatchObject({ modelType: "toy", layers: 2, width: 4 });

  const generator = await Generator.create(device, model, { batch: 1, promptTokens: 2, maxNewTokens: 3 });
  const options = { temperature: 0, topK: 0, topP: 1, minNewTokens: 3, maxNewTokens: 3 };
  const [sampled] = await generator.generate([Int32Array.of(2, 3)], options, Random.fromSeed(1));
  expect(sampled?.ids).toHaveLength(3);
  await generator.dispose();

  const optimizer = await createOptimizer(device, model.parameters);
  const shape = [1, 5] as const;
  const loss = nextTokenLoss(model, shape);
  const training = await device.compile({
    stores: [model.store, optimizer.store],
    outputs: { loss },
    updates: [optimizer.update(loss)],
  });
  const ids = Int32Array.of(2, 3, 4, 5, 6);
  const adamW = { learningRate: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, maxGradientNorm: 1 };
  const losses: number[] = [];
  for (let step = 1; step <= 20; step++) {
    const inputs = { ids, positions: Int32Array.of(0, 1, 2, 3, 4), targets: targetsOf(ids, shape) };
    const { loss: [value] = [] } = await training.run({ ...inputs, ...optimizer.inputsAt(step, adamW) });
    losses.push(value ?? Number.NaN);
  }
  expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 2);

  const tunedFolder = join(folder, "tuned");
  await saveModel(model, tunedFolder);
  const tuned = await loadModel(device, tunedFolder, { prefix: "tuned." });
  const base = await loadModel(device, folder, { prefix: "base." });
  const scorer = await LogRatioScorer.create(device, { tuned, base }, { shape: [1, 5], kl: true });
  const [ratios] = await scorer.score([ids]);
  for (const ratio of ratios?.logRatio.subarray(1) ?? []) expect(ratio).toBeGreaterThan(0);

  await using from = await openParameters(folder);
  await using to = await openParameters(tunedFolder);
  const changes = await parameterChanges(from, to, parametersOf(model.config));
  for (const layer of [0, 1])
    expect(divergenceOf(changes.filter((one) => one.layer === layer)).jointL2).toBeGreaterThan(0);
});
