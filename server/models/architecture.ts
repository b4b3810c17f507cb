/**
 * The interface that every architecture implements, and the graph-building helpers that they share. Letters: B batch,
 * T tokens, D model width, H heads, G query heads per key head, S cache slots, V vocabulary.
 */
import type { Node, Shape } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { maskedScore } from "../engine/shapes.ts";
import type { LayerSite, Site } from "./sites.ts";

/** The sizes that shared code reads; each architecture adds its own. */
export interface BaseConfig {
  readonly vocabSize: number;
  /** D */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Key and value heads; fewer than `heads` when queries share them. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Maximum number of tokens: what the model was trained for, capped at what this program computes. */
  readonly contextLength: number;
  /** Number of keys in a local layer's window; undefined when every layer attends to all. */
  readonly localWindow: number | undefined;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  /** Bounds logits to (-c, c) by c tanh(x / c); undefined: they are the head's products x. */
  readonly logitCap?: number | undefined;
}

/** One parameter under its Hugging Face name; Linear weights are [out, in]. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
  readonly role: "linear" | "embedding" | "norm" | "bias";
}

/** What a parameter is for. Norms are their own part wherever they stand; a tied head is the embedding. */
export const modelParts = ["embedding", "attention", "mlp", "norm", "head"] as const;
export type ModelPart = (typeof modelParts)[number];

/** One of the architecture's own parameters, and where it belongs. */
export interface ModelParameter extends ParameterSpec {
  readonly part: ModelPart;
  /** Undefined for embeddings, the final norm and the head. */
  readonly layer: number | undefined;
}

/** Everything that the rest of the program needs to know about an architecture. */
export interface Architecture<C extends BaseConfig> {
  /** Types and checks a parsed config.json. Throws `ConfigError` or `ZodError`. */
  parseConfig(json: unknown): C;
  /** The parameters that a checkpoint must hold. */
  parameters(config: C): ModelParameter[];
  /**
   * Tensor names in real checkpoints to skip: masks and rotary tables, and a value head, which the model does not
   * use.
   */
  readonly ignorable: RegExp;
  /** Prefixes of every parameter name but the head's in files, ours first; files of the body alone have none. */
  readonly bodyPrefixes: readonly [string, ...string[]];
  /** Names of matrices that files store as [inputs, out]; those of parameters are [out, inputs]. */
  readonly inputsFirst?: RegExp | undefined;
  /** Names under which files store an untied head, ours first. */
  readonly headNames: readonly [string, ...string[]];
  forward(config: C, context: ForwardContext): ForwardResult;
  /** The name of the matrix that turns hidden states into logits. */
  headName(config: C): string;
  /** The name of the table [V, D] that token ids are looked up in. */
  embeddingName(config: C): string;
  /** The modules of transformers' model whose outputs are a layer's activations. */
  siteModules(config: C, layer: number): Readonly<Record<Site, string>>;
  readonly finalNorm: FinalNorm;
  /** A norm's scale as stored before any training. */
  readonly initialNorm: number;
}

/** The norm before the head. */
export interface FinalNorm {
  /** Name of its scale. */
  readonly scale: string;
  /** Added to the stored scale: 1 where a checkpoint stores the scale minus one. */
  readonly offset: number;
  /** Whether it subtracts the mean (LayerNorm) or only divides (RMSNorm). */
  readonly centres: boolean;
}

/** What a forward pass is built from. */
export interface ForwardContext {
  readonly weights: Weights;
  /** i32 [B, T] */
  readonly ids: Node;
  /** i32 [B, T] */
  readonly positions: Node;
  /** Added to the scores of keys of this pass, [B, 1, 1, T]: 0 for a key that may be seen, very negative for padding. */
  readonly keyBias: Node | undefined;
  /** Undefined where each row is one text. */
  readonly packed: PackedTexts | undefined;
  readonly cache: CacheInputs | undefined;
  /** May replace the activations of a site. */
  readonly editActivations: ActivationEdit | undefined;
}

/** Replaces the activations of a layer's site, [B, T, D], or returns them as they are. */
export type ActivationEdit = (place: LayerSite, activations: Node) => Node;

/**
 * Texts that a pass reads as one row of R tokens, B = 1, without padding between them; attention alone lays them out as
 * P rows of T places, each of one or more texts.
 */
export interface PackedTexts {
  readonly rows: readonly [P: number, T: number];
  /** The token at each place, i32 [P * T]; any at places that no token sees. */
  readonly tokens: Node;
  /** The place of each token, i32 [R]. */
  readonly places: Node;
  /** Which places see which, in place of the causal mask, [P, 1, T, T]: 0 for a key that may be seen, else `hiddenKeyBias`. */
  readonly bias: Node;
  /** The same for layers with a local window. */
  readonly localBias: Node;
}

/** Added to the score of a key that may not be seen. */
export const hiddenKeyBias = maskedScore;

/** The key-value cache: [B, kvHeads, S, headDim] per layer, and the bias that masks its slots, [B, 1, 1, S]. */
export interface CacheInputs {
  readonly keys: readonly Node[];
  readonly values: readonly Node[];
  readonly bias: Node;
  /** The same for layers with a local window. */
  readonly localBias: Node;
}

export interface ForwardResult {
  /** After the final norm, [B, T, D]. */
  readonly hidden: Node;
  readonly layers: readonly LayerResult[];
}

export interface LayerResult {
  /**
   * By site, after edits, [B, T, D]: what the MLP adds to the residual stream, after the norm of it where there is one, and
   * the residual stream after this layer.
   */
  readonly activations: Readonly<Record<Site, Node>>;
  /** [B, kvHeads, T, headDim] */
  readonly keys: Node;
  readonly values: Node;
}

/** How a forward pass reads its weights. It hides adapters, so no architecture knows about them. */
export interface Weights {
  get(name: string): Node;
  /** x @ weight^T + bias, with any adapter of that weight. */
  linear(x: Node, weight: string, bias?: string): Node;
}

export interface AttentionInput {
  /** [B, T, H, headDim] */
  readonly queries: Node;
  /** [B, T, kvHeads, headDim] */
  readonly keys: Node;
  readonly values: Node;
  readonly layer: number;
  readonly scale: number;
  /** Bounds scores to (-c, c) by c tanh(x / c), before any mask. */
  readonly cap?: number | undefined;
  /** Undefined: the whole context. */
  readonly window: number | undefined;
}

/**
 * Causal attention over the keys of this pass and of the cache: [B, T, H * headDim], and the keys and values to keep.
 * Packed texts are laid out as rows for it, and packed again.
 */
export function attention(input: AttentionInput, context: ForwardContext): AttentionResult {
  const { packed } = context;
  if (packed === undefined) return attend(input, context);
  const [P, T] = packed.rows;
  const [, R = 0, , headDim = 0] = input.queries.shape;
  const inRows = (x: Node): Node =>
    ops.reshape(ops.embedding(ops.reshape(x, [R, -1]), packed.tokens), [P, T, x.shape[2] ?? 0, headDim]);
  const rows = { queries: inRows(input.queries), keys: inRows(input.keys), values: inRows(input.values) };
  const bias = input.window === undefined ? packed.bias : packed.localBias;
  const { output, ...kept } = attend({ ...input, ...rows }, context, bias);
  const own = ops.embedding(ops.reshape(output, [P * T, -1]), packed.places);
  return { output: ops.reshape(own, [1, R, -1]), ...kept };
}

interface AttentionResult {
  readonly output: Node;
  readonly keys: Node;
  readonly values: Node;
}

/** Attention within rows. `mask`, if given, is added to scores [B, H, T, T] in place of the causal or local mask. */
function attend(input: AttentionInput, { keyBias, cache }: ForwardContext, mask?: Node): AttentionResult {
  const [B = 0, T = 0, H = 0, headDim = 0] = input.queries.shape;
  const kvHeads = input.keys.shape[2] ?? 0;
  const G = H / kvHeads;
  const keys = ops.transpose(input.keys, [0, 2, 1, 3]);
  const values = ops.transpose(input.values, [0, 2, 1, 3]);
  const queries = ops.reshape(ops.transpose(input.queries, [0, 2, 1, 3]), [B, kvHeads, G * T, headDim]);
  const scored = (heldKeys: Node): Node =>
    capped(ops.matmul(queries, heldKeys, { transB: true, alpha: input.scale }), input.cap);
  const biased = (scores: Node, bias: Node | undefined): Node => (bias === undefined ? scores : ops.add(scores, bias));
  const own = biased(scored(keys), keyBias);
  const cachedKeys = cache?.keys[input.layer];
  const cachedValues = cache?.values[input.layer];
  if (cache === undefined || cachedKeys === undefined || cachedValues === undefined) {
    const probs = maskedSoftmax(own, [B, H, T, T], input.window, mask);
    return { output: joinHeads(ops.matmul(ops.reshape(probs, own.shape), values), [B, H, T, headDim]), keys, values };
  }
  const S = cachedKeys.shape[2] ?? 0;
  const earlier = biased(scored(cachedKeys), input.window === undefined ? cache.bias : cache.localBias);
  const joined = ops.concat([earlier, own], 3);
  // A slot's index in the cache is not its position, so the cache's bias applies the window.
  const probs = ops.reshape(maskedSoftmax(joined, [B, H, T, S + T], undefined), joined.shape);
  const fromCache = ops.matmul(ops.slice(probs, 3, 0, S), cachedValues);
  const ownProbs = ops.slice(probs, 3, S, S + T);
  // The product with a single value is elementwise, which takes a fraction of the time of as many tiny products.
  const fromOwn = T === 1 ? ops.mul(ownProbs, values) : ops.matmul(ownProbs, values);
  return { output: joinHeads(ops.add(fromCache, fromOwn), [B, H, T, headDim]), keys, values };
}

/** cap tanh(x / cap), or x without a cap. */
export function capped(x: Node, cap: number | undefined): Node {
  return cap === undefined ? x : ops.affine(ops.tanh(ops.affine(x, 1 / cap)), cap);
}

/** Splits [B, T, heads * headDim] into [B, T, heads, headDim]. */
export function splitHeads(x: Node, heads: number): Node {
  const [B = 0, T = 0, width = 0] = x.shape;
  return ops.reshape(x, [B, T, heads, width / heads]);
}

/** Weights as plain state nodes of the specs' shapes; names in the store begin with `prefix`. */
export function stateWeights(specs: readonly ParameterSpec[], prefix = ""): Weights {
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]));
  const get = (name: string): Node => {
    const shape = shapes.get(name);
    if (shape === undefined)
      throw new TypeError(`the forward pass asks for '${name}', which the architecture does not list`);
    return ops.state(prefix + name, shape);
  };
  return { get, linear: (x, weight, bias) => ops.linear(x, get(weight), bias === undefined ? undefined : get(bias)) };
}

/** Softmax with the mask given, or else the causal or local one, which a single query does not need. */
function maskedSoftmax(scores: Node, shapeBHTK: Shape, window: number | undefined, mask?: Node): Node {
  const [, , T = 0] = shapeBHTK;
  const perHead = ops.reshape(scores, shapeBHTK);
  if (mask !== undefined) return ops.softmax(ops.add(perHead, mask));
  if (T === 1) return ops.softmax(perHead);
  return window === undefined ? ops.softmax(perHead, "causal") : ops.softmax(perHead, "local", window);
}

function joinHeads(x: Node, [B = 0, H = 0, T = 0, headDim = 0]: Shape): Node {
  return ops.reshape(ops.transpose(ops.reshape(x, [B, H, T, headDim]), [0, 2, 1, 3]), [B, T, H * headDim]);
}
