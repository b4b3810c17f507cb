import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { deviceOptions, withDevice } from "../cli/with-device.ts";
import { Random } from "../common/random.ts";
import type { Device, Program } from "../engine/device.ts";
import type { Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { createOptimizer, gradientNormName, type Optimizer, requireFinite } from "../engine/optimizer.ts";
import { createModel, type LoadedModel } from "../models/checkpoint.ts";
import { parseConfig } from "../models/config.ts";
import { wideBytesOf } from "../models/fixed-model.ts";
import { forward, logitsOf, plainPositions } from "../models/model.ts";
import { nextTokenLoss, targetsOf } from "../models/next-token-loss.ts";
import { checkFirstLoss, checkGradients, checkLearns } from "./engine-checks.ts";
import { benchShapeNames, benchShapes } from "./shapes.ts";
import { medianSeconds, peakRssMB, rounded, type Timing } from "./timing.ts";

export const benchEngine = defineCommand({
  usage: "[options]",
  about:
    "Times full training steps (forward, next-token loss, backward, clipping, AdamW), forward passes that compute the logits of " +
    "every place, and [512, 512] x [512, 2048] products. Weights are random, numbers F32, times medians after two warm-ups. " +
    "The first loss, some gradients (against finite differences) and that the steps lower the loss are checked on the way. " +
    "test/bench/pytorch_engine.py times the same work in PyTorch.",
  options: {
    shape: option.choice("SHAPE", "the model's size", benchShapeNames, "pythia-70m"),
    batch: option.integer("rows of a batch", 4, { min: 1, max: 4096 }),
    tokens: option.integer("tokens of a row", 128, { min: 2 }),
    steps: option.integer("timed steps", 5, { min: 1 }),
    "forward-only": option.flag("time no training, for shapes whose gradients do not fit"),
    ...deviceOptions,
  },
  run: async ({ options, signal, note, env }): Promise<CommandResult> =>
    await withDevice({ ...options, signal, note, env }, async (device) => {
      const forwardOnly = options["forward-only"];
      if (!forwardOnly) await admitTraining(device, options.shape);
      const model = await createModel(device, benchShapes[options.shape], Random.fromSeed(1));
      const figures = await measure(device, model, {
        shape: [options.batch, options.tokens],
        timing: { repeats: options.steps, signal },
        forwardOnly,
        note,
      });
      const json = { name: "engine", check: "ok", device: device.kind, model: `${options.shape}-shape`, ...figures };
      return { json: { ...json, peakRssMB: peakRssMB() }, text: asText(device, json) };
    }),
});

/** Refuses a shape whose training the device cannot hold before minutes go into drawing its weights. */
async function admitTraining(device: Device, shape: (typeof benchShapeNames)[number]): Promise<void> {
  // Weights, their gradients and AdamW's two moments.
  await device.admitState?.(4 * wideBytesOf(parseConfig(benchShapes[shape], shape)));
}

interface Figures {
  /** Undefined where only forward passes are timed. */
  readonly trainTokensPerSecond?: number;
  readonly forwardTokensPerSecond: number;
  readonly matmulGflops: number;
}

interface Work {
  readonly shape: readonly [B: number, T: number];
  readonly timing: Timing;
  readonly forwardOnly: boolean;
  readonly note: (line: string) => void;
}

type Batch = Readonly<Record<"ids" | "positions" | "targets", Values>>;

async function measure(device: Device, model: LoadedModel, work: Work): Promise<Figures> {
  const { shape, timing, forwardOnly, note } = work;
  const [B, T] = shape;
  const random = Random.fromSeed(2);
  const ids = Int32Array.from({ length: B * T }, () => random.integer(model.config.vocabSize));
  const batch = { ids, positions: plainPositions(shape), targets: targetsOf(ids, shape) };
  const perSecond = (seconds: number): number => rounded((B * T) / seconds);
  const trained = forwardOnly
    ? await checkForward(device, model, shape, batch)
    : { trainTokensPerSecond: perSecond(await timeTraining(device, model, batch, work)) };
  note("timing forward passes and products");
  const forwardSeconds = await timeForward(device, model, shape, batch, timing);
  const matmulGflops = rounded(await timeMatmul(device, timing.signal));
  return { ...trained, forwardTokensPerSecond: perSecond(forwardSeconds), matmulGflops };
}

/** Median seconds of a training step, after its checks. */
async function timeTraining(
  device: Device,
  model: LoadedModel,
  batch: Batch,
  { shape, timing, note }: Work,
): Promise<number> {
  note("checking gradients");
  await checkGradients(device, model, shape, batch, timing.signal);
  const { optimizer, program } = await trainingProgram(device, model, shape);
  const losses: number[] = [];
  note("timing training steps");
  const seconds = await medianSeconds(async () => {
    const step = losses.length + 1;
    const results = await program.run({ ...batch, ...optimizer.inputsAt(step, adamW) });
    requireFinite(gradientNormName, step, results[gradientNormName]);
    losses.push(requireFinite("loss", step, results["loss"]));
    if (step === 1) checkFirstLoss(losses[0] ?? Number.NaN, model.config.vocabSize);
  }, timing);
  checkLearns(losses);
  return seconds;
}

/** What is checked where nothing is trained: the loss. */
async function checkForward(
  device: Device,
  model: LoadedModel,
  shape: Work["shape"],
  batch: Batch,
): Promise<Record<string, never>> {
  const program = await device.compile({ stores: [model.store], outputs: { loss: nextTokenLoss(model, shape) } });
  const { loss } = await program.run(batch);
  await program.dispose();
  checkFirstLoss(requireFinite("loss", 1, loss), model.config.vocabSize);
  return {};
}

/**
 * As in test/bench/pytorch_engine.py, with a learning rate at which a few steps on one batch visibly lower its loss.
 */
export const adamW = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  maxGradientNorm: 1,
};

export async function trainingProgram(
  device: Device,
  model: LoadedModel,
  shape: Work["shape"],
): Promise<{ optimizer: Optimizer; program: Program }> {
  const optimizer = await createOptimizer(device, model.parameters);
  const loss = nextTokenLoss(model, shape);
  const program = await device.compile({
    stores: [model.store, optimizer.store],
    outputs: { loss },
    updates: [optimizer.update(loss)],
  });
  return { optimizer, program };
}

/**
 * Times forward passes that compute the logits of every place; copies out one number of each row, so that the copy
 * costs nothing.
 */
async function timeForward(
  device: Device,
  model: LoadedModel,
  shape: Work["shape"],
  { ids, positions }: Readonly<Record<"ids" | "positions", Values>>,
  timing: Timing,
): Promise<number> {
  const logits = logitsOf(model, forward(model, { shape }).hidden);
  const program = await device.compile({ stores: [model.store], outputs: { some: ops.slice(logits, 2, 0, 1) } });
  const seconds = await medianSeconds(() => program.run({ ids, positions }), timing);
  await program.dispose();
  return seconds;
}

/** GFLOP/s of products [512, 512] x [512, 2048]; four per program, so that the overhead of the call is negligible. */
async function timeMatmul(device: Device, signal: AbortSignal): Promise<number> {
  const [m, k, n, products] = [512, 512, 2048, 4];
  const random = Random.fromSeed(3);
  const values = (length: number): Float32Array => Float32Array.from({ length }, () => random.uniform() - 0.5);
  const names = Array.from({ length: products }, (_, at) => `b${at}`);
  const store = await device.createState([
    { name: "a", shape: [m, k], values: values(m * k) },
    ...names.map((name) => ({ name, shape: [k, n], values: values(k * n) })),
  ]);
  const a = ops.state("a", [m, k]);
  const outputs = Object.fromEntries(
    names.map((name) => [name, ops.slice(ops.matmul(a, ops.state(name, [k, n])), 1, 0, 1)]),
  );
  const program = await device.compile({ stores: [store], outputs });
  const seconds = await medianSeconds(() => program.run({}), { repeats: 7, signal });
  return (2e-9 * m * k * n * products) / seconds;
}

function asText(
  device: Device,
  { model, trainTokensPerSecond, forwardTokensPerSecond, matmulGflops }: Figures & { model: string },
): string {
  return [
    `${model} on ${device.description}; checks passed`,
    ...(trainTokensPerSecond === undefined ? [] : [`training   ${trainTokensPerSecond} tokens/s`]),
    `forward    ${forwardTokensPerSecond} tokens/s`,
    `products   ${matmulGflops} GFLOP/s`,
    `peak       ${peakRssMB()} MB`,
  ].join("\n");
}
