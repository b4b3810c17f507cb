/** The parts of `lfp bench gpu` that run whole programs: each is done on the CPU device first, at a size that it can take, and compared. */
import type { Precision } from "../../kernels/matmul/choose.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { gradientNormName, requireFinite } from "../engine/optimizer.ts";
import { createModel, type LoadedModel } from "../models/checkpoint.ts";
import { defaultSampling, Generator } from "../models/generate.ts";
import { plainPositions } from "../models/model.ts";
import { targetsOf } from "../models/next-token-loss.ts";
import { saeConfigSchema } from "../sae/config.ts";
import { SaeGroup } from "../sae/step-program.ts";
import { adamW, trainingProgram } from "./bench-engine.ts";
import { benchShapes } from "./bench-shapes.ts";
import { BenchCheckError, medianSeconds, rounded } from "./bench-timing.ts";

export interface GpuFigures {
  readonly training: { readonly milliseconds: number; readonly tokensPerSecond: number };
  readonly sampling: { readonly milliseconds: number; readonly newTokensPerSecond: number };
  readonly autoencoders: { readonly milliseconds: number; readonly tokensPerSecond: number };
}

export interface DeviceWork {
  readonly shape: "pythia-70m" | "pythia-160m" | "tiny";
  readonly precision: Precision;
  readonly repeats: number;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** What is timed, and the smaller work that is compared with the CPU device's. */
interface Sizes {
  readonly train: readonly [texts: number, tokens: number];
  readonly checkedTrain: readonly [texts: number, tokens: number];
  readonly prompts: number;
  readonly newTokens: number;
  readonly rows: number;
}

const large: Sizes = { train: [8, 512], checkedTrain: [2, 24], prompts: 64, newTokens: 20, rows: 2048 };
const tiny: Sizes = { train: [2, 9], checkedTrain: [2, 9], prompts: 3, newTokens: 3, rows: 17 };

/** How far a loss or norm may be from the CPU's, as a share: factors round by so much, and a step carries the difference on. */
const tolerances: Readonly<Record<Precision, number>> = { f32: 1e-4, split: 1e-4, half: 2e-2 };

/** Checks and times training steps, sampling and autoencoder steps. Throws `BenchCheckError`. */
export async function measureOnDevices(device: Device, work: DeviceWork): Promise<GpuFigures> {
  const sizes = work.shape === "tiny" ? tiny : large;
  const timing = { repeats: work.repeats, signal: work.signal };
  const cpu = await createCpuDevice();
  try {
    const parts = { ...work, sizes, tolerance: tolerances[work.precision] };
    work.note("checking training steps");
    compare("training", await trainingTrace(cpu, parts), await trainingTrace(device, parts), parts.tolerance);
    work.note("checking sampling");
    // Ties between tokens may fall otherwise when factors are rounded; the pass itself has been checked by then.
    if (work.precision === "f32") compareTokens(await greedyTokens(cpu, parts), await greedyTokens(device, parts));
    work.note("checking autoencoder steps");
    compare("an autoencoder", await saeTrace(cpu, parts), await saeTrace(device, parts), parts.tolerance);
  } finally {
    await cpu.close();
  }
  work.note("timing training steps, sampling and autoencoder steps");
  const trainSeconds = await timeTraining(device, work.shape, sizes, timing);
  const sampleSeconds = await timeSampling(device, work.shape, sizes, timing);
  const saes = await createSaes(device, work.shape, sizes.rows);
  let step = 0;
  const saeSeconds = await medianSeconds(() => saes.group.step(saes.rows, ++step), timing);
  await saes.dispose();
  const [texts, tokens] = sizes.train;
  return {
    training: { milliseconds: milliseconds(trainSeconds), tokensPerSecond: rounded((texts * tokens) / trainSeconds) },
    sampling: {
      milliseconds: milliseconds(sampleSeconds),
      newTokensPerSecond: rounded((sizes.prompts * sizes.newTokens) / sampleSeconds),
    },
    autoencoders: { milliseconds: milliseconds(saeSeconds), tokensPerSecond: rounded(sizes.rows / saeSeconds) },
  };
}

type Parts = DeviceWork & { readonly sizes: Sizes };
type Timing = Pick<DeviceWork, "repeats" | "signal">;
const checkedSteps = 3;

async function training(device: Device, shape: DeviceWork["shape"], size: readonly [number, number]) {
  const model = await createModel(device, benchShapes[shape], Random.fromSeed(1));
  const random = Random.fromSeed(2);
  const ids = Int32Array.from({ length: size[0] * size[1] }, () => random.integer(model.config.vocabSize));
  const batch = { ids, positions: plainPositions(size), targets: targetsOf(ids, size) };
  const { optimizer, program } = await trainingProgram(device, model, size);
  let step = 0;
  return {
    step: async (): Promise<[loss: number, norm: number]> => {
      step += 1;
      const results = await program.run({ ...batch, ...optimizer.inputsAt(step, adamW) });
      const norm = requireFinite(gradientNormName, step, results[gradientNormName]);
      return [requireFinite("loss", step, results["loss"]), norm];
    },
    dispose: async (): Promise<void> => {
      await program.dispose();
      await optimizer.store.dispose();
      await model.store.dispose();
    },
  };
}

/** Losses and gradient norms of some steps. */
async function trainingTrace(device: Device, { shape, sizes, signal }: Parts): Promise<number[]> {
  const { step, dispose } = await training(device, shape, sizes.checkedTrain);
  const trace: number[] = [];
  for (let at = 0; at < checkedSteps; at++) {
    signal.throwIfAborted();
    trace.push(...(await step()));
  }
  await dispose();
  return trace;
}

async function timeTraining(
  device: Device,
  shape: DeviceWork["shape"],
  { train }: Sizes,
  timing: Timing,
): Promise<number> {
  const { step, dispose } = await training(device, shape, train);
  const seconds = await medianSeconds(step, timing);
  await dispose();
  return seconds;
}

/** As in test/bench/pytorch_generate.py. */
const [shortest, longest] = [2, 9];

async function createGenerator(device: Device, shape: DeviceWork["shape"], count: number, newTokens: number) {
  const model: LoadedModel = await createModel(device, benchShapes[shape], Random.fromSeed(1));
  const random = Random.fromSeed(3);
  const prompts = Array.from({ length: count }, (_, at) =>
    Int32Array.from(
      { length: shortest + (at % (longest - shortest + 1)) },
      () => 1 + random.integer(model.config.vocabSize - 1),
    ),
  );
  const generator = await Generator.create(device, model, {
    batch: count,
    promptTokens: longest,
    maxNewTokens: newTokens,
    frozen: true,
  });
  const dispose = async (): Promise<void> => {
    await generator.dispose();
    await model.store.dispose();
  };
  return { generator, prompts, dispose };
}

async function greedyTokens(device: Device, { shape, sizes }: Parts): Promise<string[]> {
  const { generator, prompts, dispose } = await createGenerator(
    device,
    shape,
    Math.min(4, sizes.prompts),
    sizes.newTokens,
  );
  const options = { ...defaultSampling, temperature: 0, maxNewTokens: sizes.newTokens, minNewTokens: 0 };
  const made = await generator.generate(prompts, options, Random.fromSeed(4));
  await dispose();
  return made.map(({ ids }) => ids.join());
}

async function timeSampling(
  device: Device,
  shape: DeviceWork["shape"],
  { prompts: count, newTokens }: Sizes,
  timing: Timing,
): Promise<number> {
  const { generator, prompts, dispose } = await createGenerator(device, shape, count, newTokens);
  const options = { ...defaultSampling, minNewTokens: newTokens, maxNewTokens: newTokens };
  const random = Random.fromSeed(5);
  const seconds = await medianSeconds(async () => {
    const made = await generator.generate(prompts, options, random);
    for (const { ids } of made)
      if (ids.length !== newTokens)
        throw new BenchCheckError("the number of new tokens", String(ids.length), String(newTokens));
  }, timing);
  await dispose();
  return seconds;
}

/** Tied autoencoders of one and two times the width, on activations that were drawn once. */
async function createSaes(device: Device, shape: DeviceWork["shape"], rows: number) {
  const D = benchShapes[shape].hidden_size;
  const random = Random.fromSeed(6);
  const values = Float32Array.from({ length: rows * D }, () => random.normal());
  const buffer = await device.createState([{ name: "activations", shape: [rows, D], values }]);
  const group = await SaeGroup.create({
    device,
    config: saeConfigSchema.parse({ batchTokens: rows, bufferTokens: rows }),
    keys: [1, 2].map((multiple) => ({ id: `x${multiple}`, model: "base", layer: 0, D, F: multiple * D, tied: true })),
    buffer,
    activations: ops.state("activations", [rows, D]),
    random: random.fork("weights"),
  });
  return {
    group,
    rows: Int32Array.from({ length: rows }, (_, at) => at),
    dispose: async (): Promise<void> => {
      await group.dispose();
      await buffer.dispose();
    },
  };
}

async function saeTrace(device: Device, { shape, sizes, signal }: Parts): Promise<number[]> {
  const { group, rows, dispose } = await createSaes(device, shape, Math.min(sizes.rows, 256));
  const trace: number[] = [];
  for (let step = 1; step <= checkedSteps; step++) {
    signal.throwIfAborted();
    for (const { loss, squaredError, l1 } of await group.step(rows, step)) trace.push(loss, squaredError, l1);
  }
  await dispose();
  return trace;
}

function compare(what: string, expected: readonly number[], got: readonly number[], tolerance: number): void {
  for (const [at, value] of expected.entries()) {
    const own = got[at] ?? Number.NaN;
    if (!(Math.abs(own - value) <= tolerance * Math.abs(value)))
      throw new BenchCheckError(`number ${at} of ${what} on the GPU`, String(own), `${value}, as on the CPU`);
  }
}

function compareTokens(expected: readonly string[], got: readonly string[]): void {
  for (const [at, tokens] of expected.entries())
    if (got[at] !== tokens)
      throw new BenchCheckError(`greedy continuation ${at} on the GPU`, String(got[at]), `${tokens}, as on the CPU`);
}

function milliseconds(seconds: number): number {
  return Number((1000 * seconds).toPrecision(4));
}
