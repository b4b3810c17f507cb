import type { StateStore } from "../engine/device.ts";
import type { Node, Shape } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import {
  type ActivationEdit,
  type Architecture,
  type CacheInputs,
  capped,
  type FinalNorm,
  type ForwardContext,
  type ForwardResult,
  type ModelParameter,
  type PackedTexts,
  type ParameterSpec,
  stateWeights,
  type Weights,
} from "./architecture.ts";
import { type ModelConfig, withArchitecture } from "./architectures.ts";
import { ContextLengthError } from "./errors.ts";
import type { LayerSite } from "./sites.ts";

/** A model as graphs are built from it: its config and where its weights are. The weights themselves are in a state store. */
export interface Model {
  readonly config: ModelConfig;
  readonly store: StateStore;
  /** The architecture's own parameters, under their names in the store. */
  readonly parameters: readonly ParameterSpec[];
  /** How graphs reach the weights, adapters included. */
  readonly weights: Weights;
  /** Adapters that `weights` adds to the architecture's own parameters; undefined for a plain model. */
  readonly adapters?: ModelAdapters;
}

/** Low-rank adapters of a model, in a store of their own; `lora.ts` makes them. */
export interface ModelAdapters {
  readonly options: LoraOptions;
  /** Holds the adapters under their weight's name with `.lora_A` and `.lora_B`. */
  readonly store: StateStore;
  readonly parameters: readonly ParameterSpec[];
  /** Adds the adapter of a weight, if it has one, to the weight's values in place. */
  addTo(weight: string, values: Float32Array): Promise<void>;
}

export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
  /** Names of the Linear weights that get an adapter. */
  readonly targets: readonly string[];
}

/** The stores that a graph of the model reads. */
export function storesOf({ store, adapters }: Pick<Model, "store" | "adapters">): StateStore[] {
  return adapters === undefined ? [store] : [store, adapters.store];
}

/** What training changes: the adapters where there are any, otherwise every parameter of the model. */
export function trainedPartOf({ store, parameters, adapters }: Model): Pick<Model, "store" | "parameters"> {
  return adapters ?? { store, parameters };
}

export interface ForwardOptions {
  /** B and T of the inputs `ids` and `positions`. */
  readonly shape: readonly [B: number, T: number];
  /** Adds the input `keyBias` [B, 1, 1, T] for keys that are padding. */
  readonly maskKeys?: boolean;
  /**
   * For texts that are packed as one row: `shape` is then [1, R], and inputs `placeTokens` i32 [P * T], `tokenPlaces` i32
   * [R], `textBias` [P, 1, T, T] and, where the model has local windows, `localTextBias` say how, as `PackedTexts` does. No
   * text may have more than `longest` tokens.
   */
  readonly packed?: { readonly rows: readonly [P: number, T: number]; readonly longest: number };
  readonly cache?: CacheInputs;
  /** May replace the activations of sites. */
  readonly editActivations?: ActivationEdit;
  /** Name of the ids input, `ids` by default: two models in one program may read different ids. */
  readonly idsName?: string;
}

/**
 * A forward pass of inputs `ids` and `positions`, i32 [B, T]. Any node of the result may be an output of a program. Throws
 * `ContextLengthError`.
 */
export function forward(model: Pick<Model, "config" | "weights">, options: ForwardOptions): ForwardResult {
  const { shape, maskKeys = false, packed, cache, editActivations, idsName = "ids" } = options;
  const { contextLength, localWindow } = model.config;
  const [B, T] = shape;
  const longest = packed?.longest ?? T;
  if (longest > contextLength) throw new ContextLengthError(longest, contextLength, "a forward pass");
  const context = {
    weights: model.weights,
    ids: ops.input(idsName, shape, "i32"),
    positions: ops.input("positions", shape, "i32"),
    keyBias: maskKeys ? ops.input("keyBias", [B, 1, 1, T]) : undefined,
    packed: packed === undefined ? undefined : packedInputs(T, packed.rows, localWindow !== undefined),
    cache,
    editActivations,
  };
  return forwardOf(model.config, context);
}

function packedInputs(R: number, rows: PackedTexts["rows"], hasLocal: boolean): PackedTexts {
  const [P, T] = rows;
  const bias = (name: string): Node => ops.input(name, [P, 1, T, T]);
  return {
    rows,
    tokens: ops.input("placeTokens", [P * T], "i32"),
    places: ops.input("tokenPlaces", [R], "i32"),
    bias: bias("textBias"),
    localBias: bias(hasLocal ? "localTextBias" : "textBias"),
  };
}

/** A forward pass of given ids and positions, i32 [B, T], in which every token sees those before it. */
export function forwardFrom(
  config: ModelConfig,
  context: Pick<ForwardContext, "weights" | "ids" | "positions">,
): ForwardResult {
  return forwardOf(config, {
    ...context,
    keyBias: undefined,
    packed: undefined,
    cache: undefined,
    editActivations: undefined,
  });
}

/**
 * Hidden states [B, T, D] or [N, D] -> logits [..., V], times `scale`, such as one over a temperature. Where no cap lies
 * between, it scales the hidden states, which are far smaller.
 */
export function logitsOf(model: Pick<Model, "config" | "weights">, hidden: Node, scale?: Node | number): Node {
  const { config, weights } = model;
  const products = (states: Node): Node => weights.linear(states, headNameOf(config));
  if (config.logitCap === undefined) return products(scaled(hidden, scale));
  return scaled(capped(products(hidden), config.logitCap), scale);
}

function scaled(x: Node, scale: Node | number | undefined): Node {
  if (scale === undefined) return x;
  return typeof scale === "number" ? ops.affine(x, scale) : ops.mul(x, scale);
}

/** The architecture's own parameters, each with the part and the layer that it belongs to. */
export function parametersOf(config: ModelConfig): ModelParameter[] {
  return withArchitecture(config, (architecture, own) => architecture.parameters(own));
}

/** How files name and store tensors. */
export function fileNamesOf(
  config: ModelConfig,
): Pick<Architecture<never>, "ignorable" | "bodyPrefixes" | "headNames" | "inputsFirst"> {
  return withArchitecture(config, ({ ignorable, bodyPrefixes, headNames, inputsFirst }) => ({
    ignorable,
    bodyPrefixes,
    headNames,
    inputsFirst,
  }));
}

export function headNameOf(config: ModelConfig): string {
  return withArchitecture(config, (architecture, own) => architecture.headName(own));
}

/** The module of transformers' model whose output is the activations of a site. */
export function siteModuleOf(config: ModelConfig, { layer, site }: LayerSite): string {
  return withArchitecture(config, (architecture, own) => architecture.siteModules(own, layer)[site]);
}

/** The norm before the head. */
export function finalNormOf(config: ModelConfig): FinalNorm {
  return withArchitecture(config, (architecture) => architecture.finalNorm);
}

/** A norm's scale as stored before any training. */
export function initialNormOf(config: ModelConfig): number {
  return withArchitecture(config, (architecture) => architecture.initialNorm);
}

export function embeddingNameOf(config: ModelConfig): string {
  return withArchitecture(config, (architecture, own) => architecture.embeddingName(own));
}

/** A model whose parameters are in a store under their own names, with `prefix` before each. */
export function modelOf(config: ModelConfig, store: StateStore, prefix = ""): Model {
  const parameters = parametersOf(config);
  return { config, store, parameters: prefixed(parameters, prefix), weights: stateWeights(parameters, prefix) };
}

/** The parameters with `prefix` before each name, for a store that holds two models. */
export function prefixed(parameters: readonly ParameterSpec[], prefix: string): ParameterSpec[] {
  return parameters.map((spec) => ({ ...spec, name: prefix + spec.name }));
}

/** Positions 0 .. T - 1 for each of B rows: the input `positions` for unpadded text. */
export function plainPositions([B, T]: readonly [number, number]): Int32Array {
  return Int32Array.from({ length: B * T }, (_, at) => at % T);
}

/** Shapes of one layer's cache for B rows and S places. */
export function cacheShape({ kvHeads, headDim }: ModelConfig, B: number, S: number): Shape {
  return [B, kvHeads, S, headDim];
}

function forwardOf(config: ModelConfig, context: Parameters<Architecture<never>["forward"]>[1]): ForwardResult {
  return withArchitecture(config, (architecture, own) => architecture.forward(own, context));
}
