import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { createModel } from "../models/checkpoint.ts";
import { defaultSite } from "../models/sites.ts";
import type { SubjectModel } from "../sae/activation-buffer.ts";
import { type SaeConfig, saeConfigSchema } from "../sae/config.ts";
import { createSaeTrainer, type SaeTrainer } from "../sae/trainer.ts";
import { checkSaeTraining } from "./sae-check.ts";
import { medianOf } from "./timing.ts";

export interface SaeBenchOptions {
  readonly device: Device;
  /** config.json of the models; their weights are random. */
  readonly model: Readonly<Record<string, unknown>>;
  /** Layers whose MLP outputs are encoded: [2, 4] for the starter, the paper's [1, 2, 3, 4, 5] for Pythia-70m. */
  readonly layers: readonly number[];
  /** Tokens of one optimizer step; default 2048. */
  readonly batchTokens?: number;
  /** Tokens whose activations are held at once; default 16,384. */
  readonly bufferTokens?: number;
  /** Tokens of one text; default 256. */
  readonly contextLength?: number;
  /** Timed optimizer steps, in whole buffers; default 32. */
  readonly steps?: number;
  readonly signal?: AbortSignal;
}

export interface SaeBenchFigures {
  readonly models: number;
  readonly layers: readonly number[];
  readonly autoencoders: number;
  readonly batchTokens: number;
  readonly bufferTokens: number;
  readonly contextLength: number;
  /** Text tokens per second; each goes through both models once and into every autoencoder. */
  readonly tokensPerSecond: number;
  /** The same times the number of autoencoders. */
  readonly saeTokensPerSecond: number;
}

/**
 * Times the training of tied L1 autoencoders of one and two times the width on some layers of two models: the median
 * over buffers of a buffer's forward passes and optimizer steps, after one buffer as warm-up. The result is checked
 * first (`SaeBenchCheckError`). test/bench/pytorch_sae.py times the same work in PyTorch.
 */
export async function benchSae(options: SaeBenchOptions): Promise<SaeBenchFigures> {
  const { device, model, layers, batchTokens = 2048, bufferTokens = 16_384, contextLength = 256, steps = 32 } = options;
  const random = Random.fromSeed(1);
  const models: SubjectModel[] = [];
  for (const name of ["base", "tuned"])
    models.push({ name, model: await createModel(device, model, random.fork(name)) });
  const size = models[0]?.model.config;
  const buffers = 1 + Math.max(1, Math.round((steps * batchTokens) / bufferTokens));
  const sparsity = { kind: "l1", coefficient: 0.5 };
  const config: SaeConfig = saeConfigSchema.parse({ sparsity, batchTokens, bufferTokens, contextLength });
  const { coefficient } = sparsity;
  await checkSaeTraining({ device, models, layers, config, coefficient, random: random.fork("check") });
  const textsPerBuffer = Math.floor(bufferTokens / contextLength);
  const texts = Array.from({ length: buffers * textsPerBuffer }, () =>
    Int32Array.from({ length: contextLength }, () => random.integer(size?.vocabSize ?? 1)),
  );
  const trainer = await createSaeTrainer({ device, models, layers, site: defaultSite, config, texts, random });
  const seconds = await secondsPerStep(trainer, buffers, options.signal);
  await trainer.dispose();
  const tokensPerSecond = batchTokens / seconds;
  const autoencoders = trainer.saes.length;
  return {
    models: models.length,
    layers,
    autoencoders,
    batchTokens,
    bufferTokens,
    contextLength,
    tokensPerSecond,
    saeTokensPerSecond: autoencoders * tokensPerSecond,
  };
}

/** The median over buffers, without the first one, of a buffer's time per optimizer step. */
async function secondsPerStep(trainer: SaeTrainer, buffers: number, signal: AbortSignal | undefined): Promise<number> {
  const perBuffer = trainer.steps / buffers;
  const times: number[] = [];
  let start = performance.now();
  for (let done = await trainer.step(); done !== undefined; done = await trainer.step()) {
    signal?.throwIfAborted();
    if (done.kind === "activations" || done.step % perBuffer !== 0) continue;
    if (done.step > perBuffer) times.push((performance.now() - start) / 1000 / perBuffer);
    start = performance.now();
  }
  return medianOf(times);
}
