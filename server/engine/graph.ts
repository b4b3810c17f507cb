/**
 * The graph: immutable, typed nodes with static shapes, linked by their inputs. A graph is just the set of nodes that
 * are reachable from some outputs, so a builder needs no context object and any node can be an output.
 */

export type DType = "f32" | "i32";
export type Shape = readonly number[];
export type Values = Float32Array | Int32Array;

/** Which keys a row of scores may see; `local` is causal and at most `window` keys back. */
export type AttentionMask = "none" | "causal" | "local";

/**
 * Frequencies stretched for contexts longer than the model was first trained on, as in Llama 3.1: a wave longer than
 * `originalPositions / lowFactor` turns `factor` times more slowly, one shorter than `originalPositions / highFactor` as
 * before, and the others in between (transformers' `_compute_llama3_parameters`).
 */
export interface RotaryScaling {
  readonly factor: number;
  readonly lowFactor: number;
  readonly highFactor: number;
  readonly originalPositions: number;
}

/** Every operator and the attributes that are fixed when the graph is built. Numbers that change per step are inputs. */
export interface OpAttrs {
  /** Data given to each run. */
  input: { readonly name: string; readonly shape: Shape; readonly dtype: DType };
  /** A value that lives on the device between runs: a parameter, a moment, a cache. */
  state: { readonly name: string; readonly shape: Shape; readonly dtype: DType };
  /** Small literal values, row-major. */
  constant: { readonly shape: Shape; readonly values: Values };
  /** One number everywhere. */
  fill: { readonly shape: Shape; readonly value: number };
  /** alpha * op(a) @ op(b); batch dimensions equal, or b has two dimensions and serves every batch. */
  matmul: { readonly transA: boolean; readonly transB: boolean; readonly alpha: number };
  /** (table [V, D], ids [...]) -> rows [..., D]. */
  embedding: NoAttrs;
  /** (base [V, D], ids [...], rows [..., D]) -> base with every row added at its id. The gradient of `embedding`. */
  scatterAddRows: NoAttrs;
  /**
   * (table [V, D], ids [N, K], weights [N, K]) -> [N, D]: the weighted sum of K rows of the table. Equals a product
   * of a sparse [N, V] matrix, with K entries per row, and the table.
   */
  embeddingBag: NoAttrs;
  /** (table, ids, dY [N, D]) -> gradient for the weights, [N, K]. */
  embeddingBagGradWeights: NoAttrs;
  /** (base [V, D], ids, weights, dY) -> base with the gradient for the table added. */
  embeddingBagGradTable: NoAttrs;
  /** (x [..., D], gamma [D], beta [D]). */
  layerNorm: { readonly eps: number };
  /** (x, gamma, dY) -> gradient for x. */
  layerNormGradX: { readonly eps: number };
  /** (x, dY) -> gradient for gamma. */
  layerNormGradGamma: { readonly eps: number };
  /** (x [..., D], gamma [D]). */
  rmsNorm: { readonly eps: number };
  rmsNormGradX: { readonly eps: number };
  rmsNormGradGamma: { readonly eps: number };
  /** Over the last axis of [..., Q, K]; query i stands at key position i + K - Q. */
  softmax: { readonly mask: AttentionMask; readonly window: number };
  /** (probabilities, dY) -> gradient for the scores. */
  softmaxGrad: NoAttrs;
  logSoftmax: NoAttrs;
  /** (log-probabilities, dY). */
  logSoftmaxGrad: NoAttrs;
  /** (logits [N, V], ids [N]) -> log softmax(logits)[n, ids[n]]. */
  gatherLogProbs: NoAttrs;
  /** (logits, ids, dY [N]) -> gradient for the logits. */
  gatherLogProbsGrad: NoAttrs;
  /**
   * (x [B, T, H, D], positions [B, T]): rotates the first `rotaryDims` of each head by position, in the rotate-half convention;
   * positions are below `maxPositions`. `inverse` turns the other way (that is the gradient).
   */
  rotary: {
    readonly rotaryDims: number;
    readonly base: number;
    readonly maxPositions: number;
    readonly inverse: boolean;
    /** Undefined: frequencies base^(-2i / rotaryDims). */
    readonly scaling?: RotaryScaling | undefined;
  };
  /** Exact, by erf. */
  gelu: NoAttrs;
  geluGrad: NoAttrs;
  /** The tanh approximation. */
  geluTanh: NoAttrs;
  geluTanhGrad: NoAttrs;
  relu: NoAttrs;
  silu: NoAttrs;
  sigmoid: NoAttrs;
  softplus: NoAttrs;
  tanh: NoAttrs;
  exp: NoAttrs;
  log: NoAttrs;
  sqrt: NoAttrs;
  square: NoAttrs;
  reciprocal: NoAttrs;
  negate: NoAttrs;
  abs: NoAttrs;
  /** The identity, with zero gradient for its input. */
  stopGradient: NoAttrs;
  add: NoAttrs;
  sub: NoAttrs;
  mul: NoAttrs;
  div: NoAttrs;
  minimum: NoAttrs;
  maximum: NoAttrs;
  /** 1 where a > b, else 0. */
  greater: NoAttrs;
  /** (condition 0 or 1, a, b). */
  where: NoAttrs;
  /** mul * x + add. */
  affine: { readonly mul: number; readonly add: number };
  clip: { readonly low: number; readonly high: number };
  sum: Reduction;
  mean: Reduction;
  max: Reduction;
  reshape: { readonly shape: Shape };
  transpose: { readonly perm: readonly number[] };
  slice: { readonly axis: number; readonly start: number; readonly end: number };
  /** Zeros before and after, along one axis. */
  pad: { readonly axis: number; readonly before: number; readonly after: number };
  concat: { readonly axis: number };
  broadcastTo: { readonly shape: Shape };
  /** Keeps the k largest entries of each row of the last axis and zeroes the rest. */
  keepTopK: { readonly k: number };
  topKValues: { readonly k: number };
  topKIndices: { readonly k: number };
  /** (x [N, V], ids [N, K]) -> [N, K]. */
  gatherRow: NoAttrs;
  /** (values [N, K], ids [N, K]) -> [N, width], values added at their ids. */
  scatterRow: { readonly width: number };
  /**
   * (probabilities [N, V], uniforms [N], settings [4]) -> ids [N]. Settings: top-k (0: all), top-p (1: all), greedy
   * (0 or 1), and whether the ids of `bannable` are excluded (0 or 1). Ids from `limit` on are never drawn.
   */
  sampleRows: { readonly bannable: readonly number[]; readonly limit: number };
}

export type NoAttrs = Readonly<Record<never, never>>;
export interface Reduction {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

export type OpKind = keyof OpAttrs;

export interface NodeOf<K extends OpKind> {
  readonly op: K;
  readonly attrs: OpAttrs[K];
  readonly inputs: readonly Node[];
  readonly shape: Shape;
  readonly dtype: DType;
}

export type Node = { [K in OpKind]: NodeOf<K> }[OpKind];

/** Nodes that `outputs` depend on, each once, inputs before users, in an order that depends on the graph alone. */
export function topologicalOrder(outputs: readonly Node[]): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack = outputs.toReversed().map((node) => ({ node, next: 0 }));
  while (stack.length > 0) {
    const frame = stack[stack.length - 1];
    if (frame === undefined) break;
    const input = frame.node.inputs[frame.next];
    if (seen.has(frame.node) || input === undefined) {
      if (!seen.has(frame.node)) order.push(frame.node);
      seen.add(frame.node);
      stack.pop();
    } else {
      frame.next += 1;
      if (!seen.has(input)) stack.push({ node: input, next: 0 });
    }
  }
  return order;
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}
