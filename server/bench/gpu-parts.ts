/**
 * The parts of `lfp bench gpu` that run whole programs: each first runs on the CPU device, at a size suitable for it,
 * and is compared.
 */
import type { Precision } from "../../kernels/matmul/choose.ts";
import { messageOf } from "../common/errors.ts";
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
import { adamW, trainingProgram } from "./engine.ts";
import { benchShapes } from "./shapes.ts";
import { BenchCheckError, medianSeconds, rounded } from "./timing.ts";

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

/** Sizes of the timed work, and of the smaller work that is compared with the CPU device's. */
interface Sizes {
  readonly train: readonly [texts: number, tokens: number];
  readonly checkedTrain: readonly [texts: number, tokens: number];
  readonly prompts: number;
  readonly newTokens: number;
  readonly rows: number;
}

const large: Sizes = { train: [8, 512], checkedTrain: [2, 24], prompts: 64, newTokens: 20, rows: 2048 };
const tiny: Sizes = { train: [2, 9], checkedTrain: [2, 9], prompts: 3, newTokens: 3, rows: 17 };

/**
 * Relative tolerance of a loss or norm against the CPU's: factors are rounded this much, and steps propagate the
 * difference.
 */
const tolerances: Readonly<Record<Precision, number>> = { f32: 1e-4, split: 1e-4, half: 2e-2 };

/** The figures. A step that is wrong, or that the device rejects, lacks its own figure only. */
export interface Measured {
  readonly figures: Partial<GpuFigures>;
  readonly refused: readonly { readonly name: StepName; readonly reason: string }[];
}

/** Checks training steps, sampling and autoencoder steps against the CPU device, and times those that are correct. */
export async function measureOnDevices(device: Device, work: DeviceWork): Promise<Measured> {
  const parts = { ...work, sizes: work.shape === "tiny" ? tiny : large, tolerance: tolerances[work.precision] };
  const refused: { name: StepName; reason: string }[] = [];
  const attempt = async (doing: string, part: (name: StepName) => Promise<void>): Promise<void> => {
    for (const name of stepNames) {
      if (refused.some((one) => one.name === name)) continue;
      parts.note(`${doing} ${name}`);
      await part(name).catch((error: unknown) => {
        parts.signal.throwIfAborted();
        parts.note(`${name}: ${messageOf(error)}`);
        refused.push({ name, reason: messageOf(error) });
      });
    }
  };
  const cpu = await createCpuDevice();
  try {
    await attempt("checking", (name) => steps[name].check(cpu, device, parts));
  } finally {
    await cpu.close();
  }
  const figures: Partial<GpuFigures> = {};
  await attempt(
    "timing",
    async (name) => void Object.assign(figures, { [name]: await steps[name].time(device, parts) }),
  );
  return { figures, refused };
}

type StepName = keyof GpuFigures;
const stepNames: readonly StepName[] = ["training", "sampling", "autoencoders"];

type Parts = DeviceWork & { readonly sizes: Sizes; readonly tolerance: number };
type Timing = Pick<DeviceWork, "repeats" | "signal">;

/** `check` throws `BenchCheckError`. */
const steps: {
  readonly [K in StepName]: {
    readonly check: (cpu: Device, device: Device, parts: Parts) => Promise<void>;
    readonly time: (device: Device, parts: Parts) => Promise<GpuFigures[K]>;
  };
} = {
  training: {
    check: async (cpu, device, parts) =>
      compare("training", await trainingTrace(cpu, parts), await trainingTrace(device, parts), parts.tolerance),
    time: async (device, parts) => {
      const seconds = await timeTraining(device, parts.shape, parts.sizes, parts);
      const [texts, tokens] = parts.sizes.train;
      return { milliseconds: milliseconds(seconds), tokensPerSecond: rounded((texts * tokens) / seconds) };
    },
  },
  sampling: {
    check: async (cpu, device, parts) => {
      // Rounded factors may break ties between tokens differently; training has checked the forward pass itself.
      if (parts.precision === "f32") compareTokens(await greedyTokens(cpu, parts), await greedyTokens(device, parts));
    },
    time: async (device, parts) => {
      const { prompts, newTokens } = parts.sizes;
      const seconds = await timeSampling(device, parts.shape, parts.sizes, parts);
      return { milliseconds: milliseconds(seconds), newTokensPerSecond: rounded((prompts * newTokens) / seconds) };
    },
  },
  autoencoders: {
    check: async (cpu, device, parts) =>
      compare("an autoencoder", await saeTrace(cpu, parts), await saeTrace(device, parts), parts.tolerance),
    time: async (device, parts) => {
      const { group, rows, dispose } = await createSaes(device, parts.shape, parts.sizes.rows);
      let step = 0;
      const seconds = await medianSeconds(() => group.step(rows, ++step), parts);
      await dispose();
      return { milliseconds: milliseconds(seconds), tokensPerSecond: rounded(rows.length / seconds) };
    },
  },
};

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

/** Tied autoencoders of one and two times the width, on fixed random activations. */
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
