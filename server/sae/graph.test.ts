import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import type { Device, StateStore } from "../engine/device.ts";
import { gradients } from "../engine/gradients.ts";
import * as ops from "../engine/ops.ts";
import { createOptimizer } from "../engine/optimizer.ts";
import { simplify } from "../engine/simplify.ts";
import type { Sparsity } from "./config.ts";
import { decodeNode, encodeNode, saeLoss, saeParameters, trackedUpdates, trainedNodes } from "./graph.ts";
import { placeSae } from "./inference.ts";
import { type Sae, unitRows } from "./sae.ts";
import { sparsityRule } from "./sparsity.ts";

interface Case {
  readonly tied: boolean;
  readonly kind: Sparsity["kind"];
  readonly mse: "sum" | "mean";
  readonly loss: number;
  readonly squares: number;
  readonly featureSum: number;
  readonly fired: readonly number[];
  readonly features: readonly number[];
  readonly reconstruction: readonly number[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  readonly losses: readonly number[];
  /** BatchTopK's after the ten steps. */
  readonly threshold?: number;
  readonly final: Readonly<Record<string, readonly number[]>>;
}

/** From PyTorch: test/fixtures/sae/make_sae.py. */
const stored: {
  readonly width: number;
  readonly features: number;
  readonly tokens: number;
  readonly l1: number;
  readonly k: number;
  readonly batchK: number;
  readonly thresholdRate: number;
  readonly l0: number;
  readonly bandwidth: number;
  readonly learningRate: number;
  readonly batches: readonly (readonly number[])[];
  readonly start: Readonly<Record<string, readonly number[]>>;
  readonly cases: readonly Case[];
} = JSON.parse(readFileSync(new URL("../../test/fixtures/sae/sae.json", import.meta.url), "utf8"));

const { width: D, features: F, tokens: N, l1, k, l0, bandwidth, learningRate, batchK, thresholdRate } = stored;
const sparsities: { readonly [K in Sparsity["kind"]]: Sparsity } = {
  l1: { kind: "l1", coefficient: l1 },
  topk: { kind: "topk", k },
  batchtopk: { kind: "batchtopk", k: batchK, thresholdRate },
  jumprelu: { kind: "jumprelu", coefficient: l0, bandwidth, threshold: 1 },
};
const tolerance = { absolute: 1e-5, relative: 1e-5 };

describe.each(devicesUnderTest)("an autoencoder on $kind equals PyTorch", ({ open }) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  describe.each(stored.cases)("tied: $tied, $kind, $mse", (expected) => {
    const { tied, kind, mse } = expected;
    const sparsity = sparsities[kind];
    const shape = { D, F, tied };
    const { tracked = [] } = sparsityRule(sparsity);
    const parameters = saeParameters("sae", shape, sparsity);
    const x = ops.input("x", [N, D]);
    const nodes = trainedNodes("sae", shape, sparsity);
    let weights: StateStore;
    beforeAll(async () => {
      weights = await device.createState([
        ...parameters.map((entry) => ({ ...entry, values: Float32Array.from(startOf(entry.name)) })),
        ...tracked.map((name) => ({ name: `sae.${name}`, shape: [], values: undefined })),
      ]);
    });

    test("loss, features, reconstruction and gradients", async () => {
      const { loss, squares, featureSum, fired, features } = saeLoss(x, nodes, { mse });
      const [merged = loss, ...states] = simplify([
        loss,
        ...parameters.map(({ name, shape: s }) => ops.state(name, s)),
      ]);
      const named = gradients(merged, states).map((node, at) => [parameters[at]?.name ?? "", node] as const);
      const reconstruction = decodeNode(features, nodes);
      const outputs = { loss, squares, featureSum, fired, features, reconstruction, ...Object.fromEntries(named) };
      const program = await device.compile({ stores: [weights], outputs });
      const results = await program.run({ x: Float32Array.from(stored.batches[0] ?? []) });
      for (const name of ["loss", "squares", "featureSum"] as const)
        expectClose(name, results[name], [expected[name]], tolerance);
      for (const name of ["fired", "features", "reconstruction"] as const)
        expectClose(name, results[name], expected[name], tolerance);
      expect(Object.keys(expected.gradients)).toHaveLength(parameters.length);
      for (const [name, gradient] of Object.entries(expected.gradients))
        expectClose(`gradient of ${name}`, results[`sae.${name}`], gradient, tolerance);
      await program.dispose();
    });

    test("ten steps of Adam", async () => {
      const optimizer = await createOptimizer(device, parameters);
      const { loss, tracked: next } = saeLoss(x, nodes, { mse });
      const stores = [weights, optimizer.store];
      const updates = [optimizer.update(loss), ...trackedUpdates("sae", next)];
      const program = await device.compile({ stores, outputs: { loss }, updates });
      const adam = { learningRate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, maxGradientNorm: Infinity };
      const losses: number[] = [];
      for (const [step, batch] of stored.batches.entries()) {
        const results = await program.run({ x: Float32Array.from(batch), ...optimizer.inputsAt(step + 1, adam) });
        losses.push(results["loss"]?.[0] ?? Number.NaN);
      }
      expectClose("losses", losses, expected.losses, { absolute: 1e-4, relative: 0 });
      for (const [name, values] of Object.entries(expected.final))
        expectClose(`final ${name}`, await weights.read(`sae.${name}`), values, { absolute: 1e-4, relative: 0 });
      if (expected.threshold !== undefined) {
        const own: Record<string, Float32Array> = {};
        for (const name of tracked) own[name] = Float32Array.from(await weights.read(`sae.${name}`));
        const activation = sparsityRule(sparsity).activation(sparsity, own, F);
        const threshold = activation.kind === "jumprelu" ? activation.threshold : [];
        expectClose("threshold", threshold, new Array(F).fill(expected.threshold), { absolute: 1e-4, relative: 0 });
      }
      await program.dispose();
    });

    test("the saved form gives the same features and reconstruction", async () => {
      const decoder = unitRows(Float32Array.from(startOf(tied ? "encoder" : "decoder")), D);
      const sae: Sae = {
        D,
        F,
        activation: sparsityRule(sparsity).activation(
          sparsity,
          {
            logThreshold: Float32Array.from(startOf("logThreshold")),
            // Just below the smallest feature of the batch, which a jump at that feature itself would leave out.
            smallest: Float32Array.of((1 - 1e-6) * Math.min(...expected.features.filter((feature) => feature > 0))),
            weight: Float32Array.of(1),
          },
          F,
        ),
        encoder: tied ? decoder : Float32Array.from(startOf("encoder")),
        encoderBias: Float32Array.from(startOf("encoderBias")),
        decoder,
        decoderBias: Float32Array.from(startOf("decoderBias")),
      };
      const placed = await placeSae(device, "fixed", sae);
      const features = encodeNode(x, placed.nodes);
      const program = await device.compile({
        stores: [placed.store],
        frozen: [placed.store],
        outputs: { features, reconstruction: decodeNode(features, placed.nodes) },
      });
      const results = await program.run({ x: Float32Array.from(stored.batches[0] ?? []) });
      expectClose("features", results["features"], expected.features, tolerance);
      expectClose("reconstruction", results["reconstruction"], expected.reconstruction, tolerance);
    });
  });
});

function startOf(name: string): readonly number[] {
  return stored.start[name.replace("sae.", "")] ?? [];
}
