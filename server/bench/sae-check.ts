import { InternalError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { forward, plainPositions } from "../models/model.ts";
import { activationsAt, defaultSite } from "../models/sites.ts";
import type { SubjectModel } from "../sae/activation-buffer.ts";
import type { SaeConfig } from "../sae/config.ts";
import type { Sae } from "../sae/sae.ts";
import type { SaeMetrics } from "../sae/step-program.ts";
import { createSaeTrainer } from "../sae/trainer.ts";

/** A trained number differs from that of plain loops, so speed is irrelevant. */
export class SaeBenchCheckError extends InternalError {
  constructor(what: string, got: number, expected: string) {
    super(
      `the check before the benchmark failed: ${what} is ${got}; expected ${expected}. Nothing was timed; please report it`,
    );
  }
}

export interface CheckOptions {
  readonly device: Device;
  readonly models: readonly SubjectModel[];
  readonly layers: readonly number[];
  readonly config: SaeConfig;
  /** Coefficient of the L1 penalty, the only kind of sparsity that the loops here support. */
  readonly coefficient: number;
  readonly random: Random;
}

/**
 * Trains on one short text and compares the first step with loops in double precision: for the smallest autoencoder of
 * each model on the lowest and highest layer, the numbers that the step reports and the change of both biases; in the
 * end every loss must have fallen. Throws `SaeBenchCheckError`.
 */
export async function checkSaeTraining(options: CheckOptions): Promise<void> {
  const { device, models, layers, config, coefficient, random } = options;
  const vocabulary = Math.min(...models.map(({ model }) => model.config.vocabSize));
  const text = Int32Array.from({ length: tokens }, () => random.integer(vocabulary));
  const sparsity = { kind: "l1", coefficient } as const;
  const small = { ...config, sparsity, batchTokens: tokens, bufferTokens: tokens, epochs: steps, maxTokens: null };
  const trainer = await createSaeTrainer({
    device,
    models,
    layers,
    site: defaultSite,
    config: small,
    texts: [text],
    random,
  });
  const before = new Map(await Promise.all(trainer.saes.map(async ({ id }) => [id, await trainer.sae(id)] as const)));
  const reports: (readonly SaeMetrics[])[] = [];
  for (let done = await trainer.step(); done !== undefined; done = await trainer.step()) {
    if (done.kind !== "update") continue;
    reports.push(done.metrics);
    if (reports.length > 1) continue;
    for (const [at, { id, model, layer }] of trainer.saes.entries()) {
      const subject = models.find(({ name }) => name === model);
      const [start, metrics] = [before.get(id), done.metrics[at]];
      const chosen = at % config.multiples.length === 0 && (layer === layers[0] || layer === layers.at(-1));
      if (!chosen || subject === undefined || start === undefined || metrics === undefined) continue;
      const x = await activationsOf(device, subject, layer, text);
      checkStep(id, { start, end: await trainer.sae(id), metrics, expected: plainStep(start, x, options), config });
    }
  }
  await trainer.dispose();
  for (const [at, { id }] of trainer.saes.entries()) {
    const [first = Number.NaN, last = Number.NaN] = [reports[0]?.[at]?.loss, reports.at(-1)?.[at]?.loss];
    if (!(last < first)) throw new SaeBenchCheckError(`the last loss of ${id}`, last, `below the first, ${first}`);
  }
}

const tokens = 48;
const steps = 4;

interface PlainStep {
  readonly squaredError: number;
  readonly l1: number;
  readonly l0: number;
  readonly encoderBiasGradient: readonly number[];
  readonly decoderBiasGradient: readonly number[];
}

function checkStep(
  id: string,
  step: {
    readonly start: Sae;
    readonly end: Sae;
    readonly metrics: SaeMetrics;
    readonly expected: PlainStep;
    readonly config: SaeConfig;
  },
): void {
  const { start, end, metrics, expected, config } = step;
  for (const name of ["squaredError", "l1", "l0"] as const) {
    const [got, wanted] = [metrics[name], expected[name]];
    if (!(Math.abs(got - wanted) <= 1e-3 * wanted + 1e-6))
      throw new SaeBenchCheckError(`${name} of ${id}`, got, `${wanted}`);
  }
  for (const name of ["encoderBias", "decoderBias"] as const) {
    for (const [at, gradient] of expected[`${name}Gradient`].entries()) {
      // Adam's first step has the same size for any gradient that is not nearly zero.
      if (Math.abs(gradient) < 1e-5) continue;
      const moved = (end[name][at] ?? Number.NaN) - (start[name][at] ?? Number.NaN);
      const wanted = -config.learningRate * Math.sign(gradient);
      if (!(Math.abs(moved - wanted) <= 0.01 * config.learningRate))
        throw new SaeBenchCheckError(`the first step of ${name}[${at}] of ${id}`, moved, `${wanted}`);
    }
  }
}

/**
 * Plain loops for one step's numbers and the gradients of both biases, of a ReLU autoencoder under the config's loss.
 * x: [N, D].
 */
function plainStep(
  { D, F, encoder, encoderBias, decoder, decoderBias }: Sae,
  x: Float32Array,
  { config: { mse }, coefficient }: Pick<CheckOptions, "config" | "coefficient">,
): PlainStep {
  const N = x.length / D;
  const scale = 2 / (mse === "sum" ? N : N * D);
  const penalty = coefficient / N;
  const encoderBiasGradient = new Array<number>(F).fill(0);
  const decoderBiasGradient = new Array<number>(D).fill(0);
  let [squares, l1, l0] = [0, 0, 0];
  for (let n = 0; n < x.length; n += D) {
    const row = x.subarray(n, n + D);
    const features = Array.from(encoderBias, (bias, f) => Math.max(0, bias + dot(encoder, f * D, row)));
    const error = Array.from(decoderBias, (bias, d) => bias - (row[d] ?? 0));
    for (const [f, feature] of features.entries()) {
      if (feature === 0) continue;
      l1 += feature;
      l0 += 1;
      for (let d = 0; d < D; d++) error[d] = (error[d] ?? 0) + feature * (decoder[f * D + d] ?? 0);
    }
    for (const [d, value] of error.entries()) {
      squares += value * value;
      decoderBiasGradient[d] = (decoderBiasGradient[d] ?? 0) + scale * value;
    }
    for (const [f, feature] of features.entries())
      if (feature > 0)
        encoderBiasGradient[f] = (encoderBiasGradient[f] ?? 0) + scale * dot(decoder, f * D, error) + penalty;
  }
  return { squaredError: squares / N, l1: l1 / N, l0: l0 / N, encoderBiasGradient, decoderBiasGradient };
}

function dot(rows: Float32Array, from: number, vector: ArrayLike<number>): number {
  let sum = 0;
  for (let d = 0; d < vector.length; d++) sum += (rows[from + d] ?? 0) * (vector[d] ?? 0);
  return sum;
}

/** MLP outputs [T, D] of one text, by a program of its own. */
async function activationsOf(
  device: Device,
  { model, stores = [] }: SubjectModel,
  layer: number,
  text: Int32Array,
): Promise<Float32Array> {
  const shape = [1, text.length] as const;
  const tap = activationsAt(forward(model, { shape }), { layer, site: defaultSite });
  const program = await device.compile({ stores: [model.store, ...stores], outputs: { tap } });
  const { tap: values = [] } = await program.run({ ids: text, positions: plainPositions(shape) });
  await program.dispose();
  return Float32Array.from(values);
}
