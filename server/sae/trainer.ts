import { invariant, LfpError } from "../common/errors.ts";
import type { Random, RandomState } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import type { Site } from "../models/sites.ts";
import { type ActivationBuffer, createActivationBuffer, type SubjectModel } from "./activation-buffer.ts";
import { featuresOf, type SaeConfig } from "./config.ts";
import { TrainingStateError } from "./errors.ts";
import type { Sae } from "./sae.ts";
import { SaeGroup, type SaeKey, type SaeMetrics } from "./step-program.ts";
import { type Chunk, type StreamPlace, type TokenStream, tokenStream } from "./token-stream.ts";

export interface SaeTrainerOptions {
  readonly device: Device;
  /**
   * Usually base and tuned. Names must be fit for files and distinct. Models on several devices are read and their
   * autoencoders trained side by side, with the same result.
   */
  readonly models: readonly SubjectModel[];
  readonly layers: readonly number[];
  readonly site: Site;
  readonly config: SaeConfig;
  /** Token ids of each text. */
  readonly texts: readonly Int32Array[];
  /** Parent generator: only forked, never drawn from, so the caller's stream is unchanged. */
  readonly random: Random;
}

/** One unit of work of at most a few seconds. */
export type SaeStep =
  /** A forward pass of every model over a part of the next chunk. */
  | { readonly kind: "activations"; readonly pass: number; readonly passes: number }
  /** One optimizer step of every autoencoder; `step` counts from 1. */
  | {
      readonly kind: "update";
      readonly step: number;
      readonly tokens: number;
      readonly metrics: readonly SaeMetrics[];
    };

/** The complete state of a training, to resume from. Tensors are by names fit for files. */
export interface SaeTrainerState {
  /** Optimizer steps done. */
  readonly step: number;
  /** State of the generator that the training was created with. */
  readonly random: RandomState;
  readonly tensors: Readonly<Record<string, Float32Array>>;
}

/**
 * Creates a training of autoencoders of several sizes on several layers of several models, all fed by one forward
 * pass of each model over each batch of texts. Throws `UnknownLayerError`, `TooFewTokensError`, `DeviceError`.
 */
export async function createSaeTrainer(options: SaeTrainerOptions): Promise<SaeTrainer> {
  const { device, models, layers, site, config, texts, random } = options;
  const lengths = texts.map((text) => text.length);
  const stream = tokenStream(lengths, config, random.fork("token stream"));
  const deviceOf = (subject: SubjectModel): Device => subject.device ?? device;
  const buffers: ActivationBuffer[] = [];
  const groups: SaeGroup[] = [];
  for (const own of new Set(models.map(deviceOf))) {
    const there = models.filter((subject) => deviceOf(subject) === own);
    const shared = { device: own, models: there, layers, site, texts, stream, readsPadding: !config.maskPadding };
    const buffer = await createActivationBuffer(shared);
    buffers.push(buffer);
    for (const subject of there) {
      for (const layer of layers) {
        groups.push(
          await SaeGroup.create({
            device: own,
            config,
            keys: keysOf(subject, layer, config),
            buffer: buffer.store,
            activations: buffer.rowsOf(subject.name, layer),
            random,
          }),
        );
      }
    }
  }
  return new SaeTrainer(config, stream, buffers, groups, random.state);
}

/** A training in progress; create it by `createSaeTrainer`. */
export class SaeTrainer {
  readonly saes: readonly SaeKey[];
  /** Optimizer steps of the whole training. */
  readonly steps: number;
  readonly #config: SaeConfig;
  readonly #stream: TokenStream;
  /** One of each device. */
  readonly #buffers: readonly ActivationBuffer[];
  readonly #groups: readonly SaeGroup[];
  readonly #random: RandomState;
  #done = 0;
  /** The chunk whose activations the buffer has, entirely or in part. */
  #chunk: (Chunk & Pick<StreamPlace, "epoch" | "chunk">) | undefined;
  #passesDone = 0;
  #failed = false;

  constructor(
    config: SaeConfig,
    stream: TokenStream,
    buffers: readonly ActivationBuffer[],
    groups: readonly SaeGroup[],
    random: RandomState,
  ) {
    this.saes = groups.flatMap((group) => group.keys);
    this.steps = stream.steps;
    this.#config = config;
    this.#stream = stream;
    this.#buffers = buffers;
    this.#groups = groups;
    this.#random = random;
  }

  /** Optimizer steps done. */
  get done(): number {
    return this.#done;
  }

  /**
   * Does the next unit of work; undefined once the training is done. Throws `NonFiniteError` when a value becomes
   * NaN or infinite: some autoencoders may have taken the step by then, so the caller must restore a saved state or
   * discard the trainer.
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

  /** The state for `restore`. May be called between any two steps. */
  async state(): Promise<SaeTrainerState> {
    const parts = await Promise.all(this.#groups.map((group) => group.tensors()));
    return { step: this.#done, random: this.#random, tensors: Object.assign({}, ...parts) };
  }

  /**
   * Resumes from a state of a training with the same models, texts, settings and root, with the same result bit for
   * bit. Recomputes the activations of the chunk that was in progress. Throws `TrainingStateError` for another
   * training's state.
   */
  async restore(state: SaeTrainerState): Promise<void> {
    this.#check(state);
    for (const group of this.#groups) await group.setTensors(state.tensors);
    this.#done = state.step;
    this.#chunk = undefined;
    this.#failed = false;
  }

  /** The autoencoder with the given key's id, in its current state. */
  async sae(id: string): Promise<Sae> {
    for (const group of this.#groups) {
      const key = group.keys.find((candidate) => candidate.id === id);
      if (key !== undefined) return group.sae(key);
    }
    throw new UnknownSaeError(id, this.saes);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.dispose()));
    await Promise.all(this.#buffers.map((buffer) => buffer.dispose()));
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
    await Promise.all(this.#buffers.map((buffer) => buffer.fill(pass, passes[pass] ?? [])));
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

/** A requested autoencoder is not among those in training. */
export class UnknownSaeError extends LfpError {
  readonly code = "not-found";

  constructor(id: string, saes: readonly SaeKey[]) {
    super(`no autoencoder '${id}'; there are ${saes.map((key) => key.id).join(", ")}`);
  }
}

function keysOf({ name, model }: SubjectModel, layer: number, { multiples, tied }: SaeConfig): SaeKey[] {
  const D = model.config.width;
  return multiples.map((multiple) => {
    const F = featuresOf(D, multiple);
    return { id: `${name}.${layer}.${F}`, model: name, layer, D, F, tied };
  });
}
