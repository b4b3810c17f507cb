import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../server/common/random.ts";
import type { Device } from "../../server/engine/device.ts";
import { gradients } from "../../server/engine/gradients.ts";
import type { Node } from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { createOptimizer, gradientNormName } from "../../server/engine/optimizer.ts";
import { simplify } from "../../server/engine/simplify.ts";
import { type LoadedModel, loadModel, readFloats, saveModel } from "../../server/models/checkpoint.ts";
import { defaultSampling, Generator } from "../../server/models/generate.ts";
import { addLora, mergeLora, unmergeLora } from "../../server/models/lora.ts";
import { forward, logitsOf, type Model, plainPositions, siteModuleOf, storesOf } from "../../server/models/model.ts";
import { openSafetensors, type SafetensorsFile } from "../../server/models/safetensors.ts";
import { createValueHead } from "../../server/models/value-head.ts";
import { expectClose } from "./close-to.ts";
import { devicesUnderTest, windowedDevices } from "./devices.ts";
import { modelFolder, ORACLE_MODELS, readModelOracle, residualsOf } from "./fixtures.ts";

const logitsTolerance = { absolute: 1e-4, relative: 0 };
const gradientTolerance = { absolute: 0, relative: 1e-4 };
const trajectoryTolerance = { absolute: 1e-4, relative: 0 };

const subjects = [
  ...devicesUnderTest.flatMap((device) => ORACLE_MODELS.map((name) => ({ ...device, name }))),
  ...windowedDevices.map((device) => ({ ...device, name: "gpt-neox" as const })),
];

describe.each(subjects)("$name on $kind equals PyTorch", ({ name, open }) => {
  const oracle = readModelOracle(name);
  const shape = [oracle.ids.length, oracle.ids[0]?.length ?? 0] as const;
  const [B, T] = shape;
  let device: Device;
  let model: LoadedModel;
  let stored: SafetensorsFile;
  beforeAll(async () => {
    device = await open();
    model = await loadModel(device, modelFolder(name));
    stored = await openSafetensors(join(modelFolder(name), "oracle.safetensors"));
  });
  afterAll(async () => {
    await stored.close();
    await device.close();
  });

  it("logits, loss, activations of every site and values", async () => {
    const head = await createValueHead(device, model.config.width, {
      weight: await stored.readFloat32("v_head.summary.weight"),
      bias: await stored.readFloat32("v_head.summary.bias"),
    });
    const result = forward(model, { shape });
    const residuals = residualsOf(name);
    const taps = Object.fromEntries(
      result.layers.map(({ activations }, layer) => [`mlpOutput.${layer}`, activations["mlp-output"]]),
    );
    const outputs = {
      logits: logitsOf(model, result.hidden),
      loss: lossOf(model, shape),
      values: head.valuesOf(result.hidden),
      ...taps,
      ...Object.fromEntries(result.layers.map(({ activations }, layer) => [`residual.${layer}`, activations.residual])),
    };
    const program = await device.compile({ stores: [model.store, head.store], outputs });
    const results = await program.run(batchInputs(oracle.ids));
    for (const tensor of ["logits", "values", ...Object.keys(taps)])
      expectClose(tensor, results[tensor], await stored.readFloat32(tensor), logitsTolerance);
    expectClose("loss", results["loss"], [oracle.loss], logitsTolerance);
    expect(Object.keys(taps)).toHaveLength(oracle.layers);
    const modules = result.layers.map((_, layer) => siteModuleOf(model.config, { layer, site: "residual" }));
    expect(modules).toEqual(Object.keys(residuals));
    for (const [layer, module] of modules.entries())
      expectClose(module, alongCosines(results[`residual.${layer}`], B * T), residuals[module] ?? [], logitsTolerance);
  });

  it("the gradient of every parameter", async () => {
    expect(model.parameters.map((spec) => spec.name).toSorted()).toEqual(oracle.parameters.toSorted());
    const [loss = ops.fill([], 0), ...states] = simplify([
      lossOf(model, shape),
      ...model.parameters.map((spec) => ops.state(spec.name, spec.shape)),
    ]);
    const named = Object.fromEntries(
      gradients(loss, states).map((gradient, index) => [model.parameters[index]?.name ?? "", gradient]),
    );
    const program = await device.compile({ stores: [model.store], outputs: named });
    const results = await program.run(batchInputs(oracle.ids));
    for (const parameter of oracle.parameters)
      expectClose(parameter, results[parameter], await stored.readFloat32(`gradient.${parameter}`), gradientTolerance);
    const again = await program.run(batchInputs(oracle.ids));
    for (const parameter of oracle.parameters) expect(again[parameter]).toEqual(results[parameter]);
  });

  it("ten steps of AdamW", async () => {
    const trained = await loadModel(device, modelFolder(name));
    const optimizer = await createOptimizer(device, trained.parameters);
    const loss = lossOf(trained, shape);
    const program = await device.compile({
      stores: [trained.store, optimizer.store],
      outputs: { loss },
      updates: [optimizer.update(loss)],
    });
    const { learningRate, betas, eps, weightDecay, clipNorm, batches, losses, gradNorms, undetermined } = oracle.adamW;
    const options = { learningRate, beta1: betas[0], beta2: betas[1], eps, weightDecay, maxGradientNorm: clipNorm };
    const got: number[] = [];
    const norms: number[] = [];
    for (const [index, batch] of batches.entries()) {
      const results = await program.run({ ...batchInputs(batch), ...optimizer.inputsAt(index + 1, options) });
      got.push(results["loss"]?.[0] ?? Number.NaN);
      norms.push(results[gradientNormName]?.[0] ?? Number.NaN);
    }
    expectClose("losses", got, losses, trajectoryTolerance);
    expectClose("gradient norms", norms, gradNorms, { absolute: 0, relative: 1e-4 });
    for (const parameter of oracle.parameters) {
      const expected = await stored.readFloat32(`final.${parameter}`);
      const values = await readFloats(trained.store, parameter);
      for (const at of undetermined[parameter] ?? []) values[at] = expected[at] ?? Number.NaN;
      expectClose(`final ${parameter}`, values, expected, trajectoryTolerance);
    }
  });

  it.each([true, false])("greedy continuations of prompts of different lengths (frozen: %s)", async (frozen) => {
    const prompts = oracle.continuations.map(({ prompt }) => Int32Array.from(prompt));
    const promptTokens = Math.max(...prompts.map((prompt) => prompt.length));
    const generator = await Generator.create(device, model, {
      batch: prompts.length + 1,
      promptTokens,
      maxNewTokens: 12,
      frozen,
    });
    // transformers was told to go on past the end-of-text token, so that is barred here as well.
    const options = { ...defaultSampling, temperature: 0, maxNewTokens: 12 };
    const continued = await generator.generate(prompts, options, Random.fromSeed(1));
    for (const [index, { tokens }] of oracle.continuations.entries()) {
      const eos = tokens.findIndex((id) => model.config.eosIds.includes(id));
      expect([...(continued[index]?.ids ?? [])]).toEqual(eos < 0 ? tokens : tokens.slice(0, eos));
    }
    await generator.dispose();
  });

  it("adapters, live and merged", async () => {
    const { rank, alpha, targets } = oracle.lora;
    const adapted = await addLora(device, model, { rank, alpha, targets }, Random.fromSeed(3));
    for (const target of targets) {
      await adapted.adapters.store.write(`${target}.lora_A`, await stored.readFloat32(`lora.A.${target}`));
      await adapted.adapters.store.write(`${target}.lora_B`, await stored.readFloat32(`lora.B.${target}`));
    }
    const expected = await stored.readFloat32("lora.logits");
    const stores = storesOf(adapted);
    const loss = lossOf({ config: model.config, weights: adapted.weights }, shape);
    const [merged = loss, ...states] = simplify([
      loss,
      ...adapted.adapters.parameters.map((spec) => ops.state(spec.name, spec.shape)),
    ]);
    const found = gradients(merged, states);
    const outputs = {
      logits: logitsOf(model, forward({ ...model, weights: adapted.weights }, { shape }).hidden),
      loss,
    };
    const live = await device.compile({
      stores,
      outputs: { ...outputs, ...Object.fromEntries(found.map((node, index) => [`g${index}`, node])) },
    });
    const results = await live.run(batchInputs(oracle.ids));
    expectClose("logits with adapters", results["logits"], expected, logitsTolerance);
    expectClose("loss with adapters", results["loss"], [oracle.lora.loss], logitsTolerance);
    for (const [index, { name: parameter }] of adapted.adapters.parameters.entries()) {
      const [target = "", kind = ""] = parameter.split(".lora_");
      expectClose(
        parameter,
        results[`g${index}`],
        await stored.readFloat32(`lora.gradient.${kind}.${target}`),
        gradientTolerance,
      );
    }
    const plain = await device.compile({
      stores: [model.store],
      outputs: { logits: logitsOf(model, forward(model, { shape }).hidden) },
    });
    await mergeLora(adapted);
    expectClose("merged", (await plain.run(batchInputs(oracle.ids)))["logits"], expected, logitsTolerance);
    await unmergeLora(adapted);
    expectClose(
      "unmerged",
      (await plain.run(batchInputs(oracle.ids)))["logits"],
      await stored.readFloat32("logits"),
      logitsTolerance,
    );
  });

  it("saves what it loaded, bit for bit", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lfp-model-"));
    await saveModel(model, folder);
    const again = await loadModel(device, folder);
    for (const { name: parameter } of model.parameters)
      expect(await again.store.read(parameter)).toEqual(await model.store.read(parameter));
    await rm(folder, { recursive: true });
  });

  function batchInputs(rows: readonly (readonly number[])[]): Record<string, Int32Array> {
    return {
      ids: Int32Array.from(rows.flat()),
      positions: plainPositions([B, T]),
      targets: Int32Array.from(rows.flatMap((row) => row.slice(1))),
    };
  }
});

/** Mean next-token cross-entropy over B x (T - 1) predictions. */
function lossOf(model: Pick<Model, "config" | "weights">, [B, T]: readonly [number, number]): Node {
  const { hidden } = forward(model, { shape: [B, T] });
  const rows = B * (T - 1);
  const predicting = ops.reshape(ops.slice(hidden, 1, 0, T - 1), [rows, -1]);
  return ops.crossEntropy(logitsOf(model, predicting), ops.input("targets", [rows], "i32"), ops.fill([rows], 1));
}

/** The product of each of N rows with cos(0), cos(1), ..., as residuals.json has them. */
function alongCosines(rowsND: ArrayLike<number> = [], N: number): number[] {
  const D = rowsND.length / N;
  return Array.from({ length: N }, (_, row) =>
    Array.from({ length: D }, (_, d) => Math.cos(d) * (rowsND[row * D + d] ?? Number.NaN)).reduce((a, b) => a + b, 0),
  );
}
