import { invariant, LfpError } from "../common/errors.ts";
import type { Random, RandomState } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { type ActivationBuffer, createActivationBuffer, type SubjectModel } from "./activation-buffer.ts";
import type { SaeConfig } from "./config.ts";
import { TrainingStateError } from "./errors.ts";
import type { Sae } from "./sae.ts";
import { SaeGroup, type SaeKey, type SaeMetrics } from "./step-program.ts";
import { type Chunk, type StreamPlace, type TokenStream, tokenStream } from "./token-stream.ts";

export interface SaeTrainerOptions {
  readonly device: Device;
  /** Usually base and tuned. Names must be fit for files and differ. */
  readonly models: readonly SubjectModel[];
  readonly layers: readonly number[];
  readonly config: SaeConfig;
  /** Token ids of each text. */
  readonly texts: readonly Int32Array[];
  /** Root of every draw; its own stream does not move. */
  readonly random: Random;
}

/** One piece of work of at most some seconds. */
export type SaeStep =
  /** A forward pass of every model over a part of the chunk that comes next. */
  | { readonly kind: "activations"; readonly pass: number; readonly passes: number }
  /** One optimizer step of every autoencoder; `step` counts from 1. */
  | {
      readonly kind: "update";
      readonly step: number;
      readonly tokens: number;
      readonly metrics: readonly SaeMetrics[];
    };

/** Everything that a training needs to go on where it stood. Tensors are by names fit for files. */
export interface SaeTrainerState {
  /** Optimizer steps done. */
  readonly step: number;
  /** The root that the training was made with. */
  readonly random: RandomState;
  readonly tensors: Readonly<Record<string, Float32Array>>;
}

/**
 * Autoencoders of several sizes on several layers of several models, all trained from one forward pass of each model over each batch of
 * texts. Throws `UnknownLayerError`, `TooFewTokensError`, `DeviceError`.
 */
export async function createSaeTrainer(options: SaeTrainerOptions): Promise<SaeTrainer> {
  const { device, models, layers, config, texts, random } = options;
  const lengths = texts.map((text) => text.length);
  const stream = tokenStream(lengths, config, random.fork("token stream"));
  const buffer = await createActivationBuffer({
    device,
    models,
    layers,
    texts,
    stream,
    readsPadding: !config.maskPadding,
  });
  const groups: SaeGroup[] = [];
  for (const subject of models) {
    for (const layer of layers) {
      groups.push(
        await SaeGroup.create({
          device,
          config,
          keys: keysOf(subject, layer, config),
          buffer: buffer.store,
          activations: buffer.rowsOf(subject.name, layer),
          random,
        }),
      );
    }
  }
  return new SaeTrainer(config, stream, buffer, groups, random.state);
}

/** A training in progress; made by `createSaeTrainer`. */
export class SaeTrainer {
  readonly saes: readonly SaeKey[];
  /** Optimizer steps of the whole training. */
  readonly steps: number;
  readonly #config: SaeConfig;
  readonly #stream: TokenStream;
  readonly #buffer: ActivationBuffer;
  readonly #groups: readonly SaeGroup[];
  readonly #random: RandomState;
  #done = 0;
  /** The chunk whose activations are in the buffer, or on their way there. */
  #chunk: (Chunk & Pick<StreamPlace, "epoch" | "chunk">) | undefined;
  #passesDone = 0;
  #failed = false;

  constructor(
    config: SaeConfig,
    stream: TokenStream,
    buffer: ActivationBuffer,
    groups: readonly SaeGroup[],
    random: RandomState,
  ) {
    this.saes = groups.flatMap((group) => group.keys);
    this.steps = stream.steps;
    this.#config = config;
    this.#stream = stream;
    this.#buffer = buffer;
    this.#groups = groups;
    this.#random = random;
  }

  /** Optimizer steps done. */
  get done(): number {
    return this.#done;
  }

  /**
   * Does the next piece of work; undefined when the training is done. Throws `NonFiniteError` when a number leaves the finite range: some
   * autoencoders may have taken the step then, so the trainer must be given a saved state, or left.
   */
  async step(): Promise<SaeStep | undefined> {
    invariant(!this.#failed, "an autoencoder training went on after a failed step");
    if (this.#done >= this.steps) return undefined;
    try {
      const place = this.#stream.placeOf(this.#done);
      const chunk = this.#chunkAt(place);
      return this.#passesDone < chunk.passes.length ? await this.#fill(chunk) : await this.#update(chunk, place);
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  /** What `restore` goes on from. May be asked for between any two steps. */
  async state(): Promise<SaeTrainerState> {
    const parts = await Promise.all(this.#groups.map((group) => group.tensors()));
    return { step: this.#done, random: this.#random, tensors: Object.assign({}, ...parts) };
  }

  /**
   * Goes on from a state of a training with the same models, texts, settings and root, to the same result bit for bit. The activations of
   * the chunk in which it stood are computed again. Throws `TrainingStateError` for another training's state.
   */
  async restore(state: SaeTrainerState): Promise<void> {
    this.#check(state);
    for (const group of this.#groups) await group.setTensors(state.tensors);
    this.#done = state.step;
    this.#chunk = undefined;
    this.#failed = false;
  }

  /** An autoencoder as it stands, by the id of its key. */
  async sae(id: string): Promise<Sae> {
    for (const group of this.#groups) {
      const key = group.keys.find((candidate) => candidate.id === id);
      if (key !== undefined) return group.sae(key);
    }
    throw new UnknownSaeError(id, this.saes);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.dispose()));
    await this.#buffer.dispose();
  }

  #chunkAt({ epoch, chunk }: StreamPlace): Chunk {
    const held = this.#chunk;
    if (held?.epoch === epoch && held.chunk === chunk) return held;
    const next = { ...this.#stream.chunk({ epoch, chunk }), epoch, chunk };
    this.#chunk = next;
    this.#passesDone = 0;
    return next;
  }

  async #fill({ passes }: Chunk): Promise<SaeStep> {
    const pass = this.#passesDone;
    await this.#buffer.fill(pass, passes[pass] ?? []);
    this.#passesDone += 1;
    return { kind: "activations", pass: this.#passesDone, passes: passes.length };
  }

  async #update({ rows }: Chunk, { offset }: StreamPlace): Promise<SaeStep> {
    const N = this.#config.batchTokens;
    const own = rows.slice(offset * N, (offset + 1) * N);
    const step = this.#done + 1;
    const metrics = await Promise.all(this.#groups.map((group) => group.step(own, step)));
    this.#done = step;
    return { kind: "update", step, tokens: step * N, metrics: metrics.flat() };
  }

  #check({ step, random, tensors }: SaeTrainerState): void {
    if (random.join() !== this.#random.join())
      throw new TrainingStateError("the saved state is of a training with another seed; start this one afresh");
    if (!(Number.isSafeInteger(step) && step >= 0 && step <= this.steps))
      throw new TrainingStateError(`the saved state stands at step ${step}; this training has ${this.steps}`);
    for (const [name, size] of this.#groups.flatMap((group) => [...group.sizes()])) {
      const given = tensors[name]?.length;
      if (given !== size)
        throw new TrainingStateError(
          `the saved state has ${given ?? "no"} values for '${name}'; this training has ${size}`,
        );
    }
  }
}

/** An autoencoder was asked for that is not being trained. */
export class UnknownSaeError extends LfpError {
  readonly code = "not-found";

  constructor(id: string, saes: readonly SaeKey[]) {
    super(`no autoencoder '${id}'; there are ${saes.map((key) => key.id).join(", ")}`);
  }
}

function keysOf({ name, model }: SubjectModel, layer: number, { multiples, tied }: SaeConfig): SaeKey[] {
  const D = model.config.width;
  return multiples.map((multiple) => {
    const F = Math.round(multiple * D);
    return { id: `${name}.${layer}.${F}`, model: name, layer, D, F, tied };
  });
}
