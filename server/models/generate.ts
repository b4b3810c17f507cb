/**
 * Sampling with a key-value cache. A batch holds prompts of different lengths, padded on the left, so that every row
 * writes its next token to the same slot. Letters: B rows, T prompt slots, S cache slots, V vocabulary.
 */
import type { Random } from "../common/random.ts";
import type { Device, Program, StateStore, Update } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { maskedScore } from "../engine/shapes.ts";
import type { CacheInputs, ForwardResult } from "./architecture.ts";
import { ContextLengthError, PromptError, TokenIdError } from "./errors.ts";
import { type Continuation, GenerationRows } from "./generation-rows.ts";
import { cacheShape, type ForwardOptions, forward, logitsOf, type Model, storesOf } from "./model.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface SamplingOptions {
  /** 0: always the most probable token. */
  readonly temperature: number;
  /** Only the k most probable tokens; 0: all. */
  readonly topK: number;
  /** Only the smallest set of most probable tokens that holds this much probability; 1: all. */
  readonly topP: number;
  readonly maxNewTokens: number;
  /** End-of-text tokens are not sampled before this many new tokens. */
  readonly minNewTokens: number;
}

export const defaultSampling: SamplingOptions = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 20, minNewTokens: 0 };

/** Sizes that a generator is compiled for. */
export interface GeneratorShape {
  readonly batch: number;
  /** The longest prompt. */
  readonly promptTokens: number;
  readonly maxNewTokens: number;
}

export interface GeneratorOptions extends GeneratorShape {
  /** Promises that the weights do not change while the generator lives, which makes it faster. Default false. */
  readonly frozen?: boolean;
  /** Ids without a token in this tokenizer (padded vocabulary, gaps) are never drawn. Undefined: any id may be. */
  readonly tokenizer?: Pick<Tokenizer, "vocabSize" | "unusedIds"> | undefined;
  /** Stores of adapters beside the model's own. */
  readonly stores?: readonly StateStore[];
  /** Stores whose values may change between two calls, such as the factors of an ablation. */
  readonly liveStores?: readonly StateStore[];
  /** May replace activations, as for `forward`. */
  readonly editActivations?: ForwardOptions["editActivations"];
}

/** Samples batches of one shape. Smaller batches and shorter prompts fit into it. */
export class Generator {
  readonly #model: Model;
  readonly #shape: GeneratorShape;
  readonly #prefill: Program;
  readonly #decode: Program | undefined;
  readonly #cache: StateStore;
  /** The input `idBias`, where there is one. */
  readonly #idBias: { readonly idBias: Float32Array } | undefined;

  private constructor(
    model: Model,
    shape: GeneratorShape,
    prefill: Program,
    decode: Program | undefined,
    cache: StateStore,
    unusedIds: readonly number[],
  ) {
    this.#model = model;
    this.#shape = shape;
    this.#prefill = prefill;
    this.#decode = decode;
    this.#cache = cache;
    this.#idBias = unusedIds.length === 0 ? undefined : { idBias: idBiasOf(unusedIds, model.config.vocabSize) };
  }

  /**
   * Compiles the prefill and decode passes. Throws `ContextLengthError` when prompt and new tokens exceed the
   * context.
   */
  static async create(device: Device, model: Model, options: GeneratorOptions): Promise<Generator> {
    const { batch: B, promptTokens: T, maxNewTokens, frozen = false } = options;
    const total = T + maxNewTokens;
    if (total > model.config.contextLength)
      throw new ContextLengthError(total, model.config.contextLength, "generation");
    const S = total - 1;
    const entries = cacheNames(model).map((name) => ({
      name,
      shape: cacheShape(model.config, B, S),
      values: undefined,
    }));
    const cache = await device.createState(entries, "caches");
    const weights = [...storesOf(model), ...(options.stores ?? [])];
    const compile = (pass: Pass): Promise<Program> =>
      device.compile({
        ...pass,
        stores: [...weights, ...(options.liveStores ?? []), cache],
        frozen: frozen ? weights : [],
      });
    const prefill = await compile(prefillPass(model, options, S));
    const decode = maxNewTokens > 1 ? await compile(decodePass(model, options, S)) : undefined;
    const unused = options.tokenizer?.unusedIds ?? [];
    return new Generator(model, { batch: B, promptTokens: T, maxNewTokens }, prefill, decode, cache, unused);
  }

  /**
   * Continues every prompt. Each step takes one number from `random` for every row of the batch, whether the row has
   * stopped or not, so that a row's draws do not depend on the others. Throws `PromptError`, `TokenIdError`,
   * `ContextLengthError`.
   */
  async generate(prompts: readonly Int32Array[], options: SamplingOptions, random: Random): Promise<Continuation[]> {
    const { batch: B, promptTokens: T, maxNewTokens } = this.#shape;
    const { vocabSize, eosIds, localWindow } = this.#model.config;
    const wanted = Math.min(options.maxNewTokens, maxNewTokens);
    checkPrompts(prompts, this.#shape, vocabSize);
    const rows = new GenerationRows(prompts, { B, T, S: T + maxNewTokens - 1, localWindow, eosIds });
    const draw = (): Record<string, Values> => ({
      ...samplingInputs(options, B, random, rows.newTokens < options.minNewTokens),
      ...this.#idBias,
    });
    rows.take(idsOf(await this.#prefill.run({ ...rows.prefillInputs(), ...draw() })));
    while (this.#decode !== undefined && rows.newTokens < wanted && !rows.allStopped) {
      rows.take(idsOf(await this.#decode.run({ ...rows.decodeInputs(), ...draw() })));
    }
    return rows.continuations();
  }

  async dispose(): Promise<void> {
    await this.#prefill.dispose();
    await this.#decode?.dispose();
    await this.#cache.dispose();
  }
}

interface Pass {
  readonly outputs: Record<string, Node>;
  readonly updates: readonly Update[];
}

/** Prefill: the whole prompt at once. Fills the cache from slot 0 and samples the token after the last slot. */
function prefillPass(model: Model, options: GeneratorOptions, S: number): Pass {
  const { batch: B, promptTokens: T, editActivations } = options;
  const result = forward(model, {
    shape: [B, T],
    maskKeys: true,
    ...(editActivations === undefined ? {} : { editActivations }),
  });
  const last = ops.reshape(ops.slice(result.hidden, 1, T - 1, T), [B, -1]);
  return { outputs: { ids: sampled(model, options, last) }, updates: cacheWrites(model, result, B, S) };
}

/** Decode: one token per row, with the cache. */
function decodePass(model: Model, options: GeneratorOptions, S: number): Pass {
  const { batch: B, editActivations } = options;
  const result = forward(model, {
    shape: [B, 1],
    cache: cacheInputs(model, B, S),
    ...(editActivations === undefined ? {} : { editActivations }),
  });
  return {
    outputs: { ids: sampled(model, options, ops.reshape(result.hidden, [B, -1])) },
    updates: cacheWrites(model, result, B, S),
  };
}

/** Samples ids from logits over the temperature. */
function sampled(model: Model, { tokenizer }: GeneratorOptions, hiddenBD: Node): Node {
  const [B = 0] = hiddenBD.shape;
  const logits = logitsOf(model, hiddenBD, ops.input("inverseTemperature", []));
  const hasGaps = tokenizer !== undefined && tokenizer.unusedIds.length > 0;
  const probs = ops.softmax(hasGaps ? ops.add(logits, ops.input("idBias", [model.config.vocabSize])) : logits);
  return ops.sampleRows(probs, ops.input("uniforms", [B]), ops.input("samplingSettings", [4]), {
    bannable: model.config.eosIds,
    limit: tokenizer?.vocabSize ?? model.config.vocabSize,
  });
}

function samplingInputs(
  { temperature, topK, topP }: SamplingOptions,
  B: number,
  random: Random,
  banEos: boolean,
): Record<string, Values> {
  const greedy = temperature === 0;
  return {
    inverseTemperature: Float32Array.of(greedy ? 1 : 1 / temperature),
    uniforms: Float32Array.from({ length: B }, () => random.uniform()),
    samplingSettings: Float32Array.of(topK, topP, Number(greedy), Number(banEos)),
  };
}

/** [V]; added to logits. */
function idBiasOf(unusedIds: readonly number[], vocabSize: number): Float32Array {
  const bias = new Float32Array(vocabSize);
  for (const id of unusedIds) bias[id] = maskedScore;
  return bias;
}

function cacheInputs(model: Model, B: number, S: number): CacheInputs {
  const shape = cacheShape(model.config, B, S);
  const layers = Array.from({ length: model.config.layers }, (_, layer) => layer);
  const localBias = model.config.localWindow === undefined ? "cacheBias" : "cacheLocalBias";
  return {
    keys: layers.map((layer) => ops.state(keysName(layer), shape)),
    values: layers.map((layer) => ops.state(valuesName(layer), shape)),
    bias: ops.input("cacheBias", [B, 1, 1, S]),
    localBias: ops.input(localBias, [B, 1, 1, S]),
  };
}

function cacheWrites(model: Model, { layers }: ForwardResult, B: number, S: number): Update[] {
  const start = ops.input("cacheStart", [1], "i32");
  const shape = cacheShape(model.config, B, S);
  return layers.flatMap(({ keys, values }, layer) => [
    { kind: "writeAt", target: ops.state(keysName(layer), shape), value: keys, start },
    { kind: "writeAt", target: ops.state(valuesName(layer), shape), value: values, start },
  ]);
}

function cacheNames(model: Model): string[] {
  return Array.from({ length: model.config.layers }, (_, layer) => [keysName(layer), valuesName(layer)]).flat();
}

const keysName = (layer: number): string => `cache.${layer}.keys`;
const valuesName = (layer: number): string => `cache.${layer}.values`;

function checkPrompts(
  prompts: readonly Int32Array[],
  { batch, promptTokens }: GeneratorShape,
  vocabSize: number,
): void {
  if (prompts.length === 0 || prompts.length > batch)
    throw new PromptError(`got ${prompts.length} prompts for a batch of ${batch}`);
  for (const [index, prompt] of prompts.entries()) {
    if (prompt.length === 0)
      throw new PromptError(`prompt ${index} is empty: give it at least the beginning-of-text token`);
    if (prompt.length > promptTokens) throw new ContextLengthError(prompt.length, promptTokens, `prompt ${index}`);
    const bad = prompt.findIndex((id) => id < 0 || id >= vocabSize);
    if (bad >= 0) throw new TokenIdError(prompt[bad] ?? -1, bad, vocabSize);
  }
}

function idsOf(result: Record<string, Values>): Int32Array {
  const { ids } = result;
  if (!(ids instanceof Int32Array)) throw new TypeError("a sampling program gave back no ids");
  return ids;
}
