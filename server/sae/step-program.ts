/**
 * One optimizer step of all autoencoders that read the same layer of the same model, as one program: they share only
 * the gathered activations. Letters: N tokens of a step, D width, F features, R rows of the activation buffer.
 */
import type { Random } from "../common/random.ts";
import type { AdamWOptions, Device, Program, StateStore } from "../engine/device.ts";
import { type Node, sizeOf, type Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { createOptimizer, type Optimizer, requireFinite } from "../engine/optimizer.ts";
import { readFloats } from "../models/checkpoint.ts";
import type { SaeConfig } from "./config.ts";
import { type SaeShape, saeLoss, saeParameters, trackedUpdates, trainedNodes } from "./graph.ts";
import { initialEntries } from "./initial.ts";
import type { Sae } from "./sae.ts";
import { unitRows } from "./sae.ts";
import { sparsityRule } from "./sparsity.ts";

/** Identifies an autoencoder by `model`, layer and dictionary size; `id` joins them into a file name. */
export interface SaeKey extends SaeShape {
  readonly id: string;
  readonly model: string;
  readonly layer: number;
}

/** One autoencoder's metrics of one step, as means over the step's tokens. */
export interface SaeMetrics {
  readonly id: string;
  readonly loss: number;
  /** ‖x̂ - x‖² */
  readonly squaredError: number;
  /** ‖f‖₁ */
  readonly l1: number;
  /** ‖f‖₀, active features */
  readonly l0: number;
  /** Fraction of variance explained: 1 - Σ‖x̂ - x‖² / Σ‖x - mean x‖². */
  readonly fve: number;
  /** Number of features that have not fired for `deadAfterTokens`; 0 before that many tokens. */
  readonly dead: number;
}

/** The autoencoders of one layer of one model, with their training state. */
export class SaeGroup {
  readonly keys: readonly SaeKey[];
  readonly #config: SaeConfig;
  readonly #weights: StateStore;
  readonly #optimizer: Optimizer;
  readonly #program: Program;
  /** Number of steps since each feature last fired, by autoencoder. */
  readonly #quiet: ReadonlyMap<string, Float32Array>;

  private constructor(
    keys: readonly SaeKey[],
    config: SaeConfig,
    weights: StateStore,
    optimizer: Optimizer,
    program: Program,
  ) {
    this.keys = keys;
    this.#config = config;
    this.#weights = weights;
    this.#optimizer = optimizer;
    this.#program = program;
    this.#quiet = new Map(keys.map(({ id, F }) => [id, new Float32Array(F)]));
  }

  /** `activations`: [R, D] in `buffer`. Equal sizes of one layer start from equal weights in every model. */
  static async create(options: {
    readonly device: Device;
    readonly config: SaeConfig;
    readonly keys: readonly SaeKey[];
    readonly buffer: StateStore;
    readonly activations: Node;
    readonly random: Random;
  }): Promise<SaeGroup> {
    const { device, config, keys, buffer, activations, random } = options;
    const { sparsity } = config;
    const weights = await device.createState(
      keys.flatMap((key) => initialEntries(key.id, key, sparsity, random.fork(`weights ${key.layer} ${key.F}`))),
    );
    const optimizer = await createOptimizer(
      device,
      keys.flatMap((key) => saeParameters(key.id, key, sparsity)),
    );
    const x = ops.embedding(activations, ops.input("rows", [config.batchTokens], "i32"));
    const losses = keys.map((key) => saeLoss(x, trainedNodes(key.id, key, sparsity), config));
    const program = await device.compile({
      stores: [buffer, weights, optimizer.store],
      outputs: {
        variation: variationOf(x),
        ...Object.fromEntries(
          losses.flatMap(({ loss, squares, featureSum, fired }, at) => [
            [`loss.${at}`, loss],
            [`squares.${at}`, squares],
            [`featureSum.${at}`, featureSum],
            [`fired.${at}`, fired],
          ]),
        ),
      },
      // The optimizer comes first: a step whose gradients are not finite sets nothing.
      updates: [
        optimizer.update(losses.map(({ loss }) => loss).reduce(ops.add)),
        ...keys.flatMap(({ id }, at) => trackedUpdates(id, losses[at]?.tracked ?? {})),
      ],
    });
    return new SaeGroup(keys, config, weights, optimizer, program);
  }

  /**
   * Trains on rows [N] of the buffer; `step` counts from 1. Throws `NonFiniteError`, in which case nothing is
   * updated.
   */
  async step(rows: Int32Array, step: number): Promise<SaeMetrics[]> {
    const adam: AdamWOptions = { ...adamDefaults, learningRate: this.#config.learningRate };
    const results = await this.#program.run({ rows, ...this.#optimizer.inputsAt(step, adam) });
    return this.keys.map((key, at) => this.#metricsOf(key, at, step, results));
  }

  /** Every tensor that training updates, by names fit for files. */
  async tensors(): Promise<Record<string, Float32Array>> {
    const stored = await Promise.all(
      [this.#weights, this.#optimizer.store].flatMap((store) =>
        store.names.map(async (name) => [name, await readFloats(store, name)] as const),
      ),
    );
    const quiet = [...this.#quiet].map(([id, steps]) => [`${id}.quiet`, steps.slice()] as const);
    return Object.fromEntries([...stored, ...quiet]);
  }

  /** Number of values of each of `tensors`, without reading them. */
  sizes(): ReadonlyMap<string, number> {
    const moved = this.#optimizer.parameters.flatMap(({ name, shape }) =>
      [name, `${name}.m`, `${name}.v`].map((own) => [own, sizeOf(shape)] as const),
    );
    const { tracked = [] } = sparsityRule(this.#config.sparsity);
    const scalars = this.keys.flatMap(({ id }) => tracked.map((name) => [`${id}.${name}`, 1] as const));
    return new Map([...moved, ...scalars, ...this.keys.map(({ id, F }) => [`${id}.quiet`, F] as const)]);
  }

  /** Restores the result of `tensors`. */
  async setTensors(tensors: Readonly<Record<string, Float32Array>>): Promise<void> {
    for (const store of [this.#weights, this.#optimizer.store])
      for (const name of store.names) await store.write(name, tensors[name] ?? new Float32Array());
    for (const [id, steps] of this.#quiet) steps.set(tensors[`${id}.quiet`] ?? []);
  }

  /** The autoencoder in its current state. */
  async sae({ id, D, F, tied }: SaeKey): Promise<Sae> {
    const { sparsity } = this.#config;
    const read = (name: string): Promise<Float32Array> => readFloats(this.#weights, `${id}.${name}`);
    const rule = sparsityRule(sparsity);
    const own: Record<string, Float32Array> = {};
    const names = rule.parameters(sparsity, F).map(({ name }) => name);
    for (const name of [...names, ...(rule.tracked ?? [])]) own[name] = await read(name);
    const decoder = unitRows(await read(tied ? "encoder" : "decoder"), D);
    return {
      D,
      F,
      activation: rule.activation(sparsity, own, F),
      encoder: tied ? decoder : await read("encoder"),
      encoderBias: await read("encoderBias"),
      decoder,
      decoderBias: await read("decoderBias"),
    };
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
    await this.#optimizer.store.dispose();
    await this.#weights.dispose();
  }

  #metricsOf({ id }: SaeKey, at: number, step: number, results: Readonly<Record<string, Values>>): SaeMetrics {
    const { batchTokens: N, deadAfterTokens } = this.#config;
    const squaredError = requireFinite(`the squared error of ${id}`, step, results[`squares.${at}`]) / N;
    const l1 = requireFinite(`the feature sum of ${id}`, step, results[`featureSum.${at}`]) / N;
    const variation = requireFinite("the activations' variation", step, results["variation"]) / N;
    const fired = results[`fired.${at}`] ?? new Float32Array();
    const quiet = this.#quiet.get(id) ?? new Float32Array();
    let active = 0;
    for (const [feature, tokens] of fired.entries()) {
      quiet[feature] = tokens > 0 ? 0 : (quiet[feature] ?? 0) + 1;
      active += tokens;
    }
    return {
      id,
      loss: requireFinite(`the loss of ${id}`, step, results[`loss.${at}`]),
      squaredError,
      l1,
      l0: active / N,
      fve: 1 - squaredError / variation,
      dead: quiet.filter((steps) => steps * N >= deadAfterTokens).length,
    };
  }
}

const adamDefaults = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, maxGradientNorm: Number.POSITIVE_INFINITY };

/** Sum over tokens of ‖x - mean x‖². */
function variationOf(x: Node): Node {
  return ops.sum(ops.square(ops.sub(x, ops.mean(x, { axes: [0], keepDims: true }))));
}
