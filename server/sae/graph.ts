/**
 * Sparse autoencoders as graphs. Letters: N tokens, D width of what is encoded, F features. Method: Marks et al., section 3.2;
 * TopK: Gao et al. 2024 (https://arxiv.org/abs/2406.04093).
 */
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { TrainedParameter } from "../engine/optimizer.ts";
import type { SaeConfig, Sparsity } from "./config.ts";
import type { Activation } from "./sae.ts";

/** An autoencoder's weights as nodes, ready to be multiplied with. */
export interface SaeNodes {
  /** [F, D] */
  readonly encoder: Node;
  /** [F] */
  readonly encoderBias: Node;
  /** [F, D], rows of length one */
  readonly decoder: Node;
  /** [D] */
  readonly decoderBias: Node;
  readonly activation: Activation;
}

/** Sizes of one autoencoder and whether its decoder is its encoder. */
export interface SaeShape {
  readonly D: number;
  readonly F: number;
  readonly tied: boolean;
}

/** What one training step gives: the loss to minimise and the numbers that tell how it stands. */
export interface SaeLoss {
  readonly loss: Node;
  /** Sum over tokens of the squared Euclidean distance. */
  readonly squares: Node;
  /** Sum over tokens of the features' sum. */
  readonly featureSum: Node;
  /** [F]: at how many tokens each feature is active. */
  readonly fired: Node;
}

/** Features [N, F] of x [N, D], all at least 0. */
export function encodeNode(x: Node, { encoder, encoderBias, activation }: SaeNodes): Node {
  const sums = ops.linear(x, encoder, encoderBias);
  return ops.relu(activation.kind === "topk" ? ops.keepTopK(sums, activation.k) : sums);
}

/** Reconstruction [N, D] of features [N, F]. */
export function decodeNode(features: Node, { decoder, decoderBias }: SaeNodes): Node {
  return ops.add(ops.matmul(features, decoder), decoderBias);
}

/**
 * mean over tokens of ‖x̂ - x‖² (`mse` "sum") or of ‖x̂ - x‖² / D ("mean"), plus for L1 the coefficient times the mean over tokens of
 * ‖f‖₁. Features are never negative, so their sum is that norm.
 */
export function saeLoss(x: Node, nodes: SaeNodes, { mse, sparsity }: Pick<SaeConfig, "mse" | "sparsity">): SaeLoss {
  const [N = 1, D = 1] = x.shape;
  const { reconstruction: decoded, featureSum, fired } = pass(x, nodes);
  const squares = ops.sum(ops.square(ops.sub(decoded, x)));
  const reconstruction = ops.affine(squares, mse === "sum" ? 1 / N : 1 / (N * D));
  const penalty = sparsity.kind === "l1" ? ops.affine(featureSum, sparsity.coefficient / N) : undefined;
  return {
    loss: penalty === undefined ? reconstruction : ops.add(reconstruction, penalty),
    squares,
    featureSum,
    fired,
  };
}

/** What a loss sees of the features: x̂ [N, D], and `SaeLoss`'s sums. */
type Pass = Pick<SaeLoss, "featureSum" | "fired"> & { readonly reconstruction: Node };

function pass(x: Node, nodes: SaeNodes): Pass {
  const { activation } = nodes;
  return activation.kind === "topk" ? sparsePass(x, nodes, activation.k) : densePass(x, nodes);
}

function densePass(x: Node, nodes: SaeNodes): Pass {
  const features = encodeNode(x, nodes);
  return {
    reconstruction: decodeNode(features, nodes),
    featureSum: ops.sum(features),
    fired: ops.sum(positive(features), { axes: [0] }),
  };
}

/** The same of at most k features a token, without the others: [N, k] in place of [N, F]. */
function sparsePass(x: Node, { encoder, encoderBias, decoder, decoderBias }: SaeNodes, k: number): Pass {
  const sums = ops.linear(x, encoder, encoderBias);
  const ids = ops.topKIndices(sums, k);
  const values = ops.relu(ops.gatherRow(sums, ids));
  return {
    reconstruction: ops.add(ops.embeddingBag(decoder, ids, values), decoderBias),
    featureSum: ops.sum(values),
    fired: ops.sum(ops.scatterRow(positive(values), ids, decoder.shape[0] ?? 0), { axes: [0] }),
  };
}

function positive(x: Node): Node {
  return ops.greater(x, ops.fill([], 0));
}

/** The parameters that training moves, under `prefix`: the decoder is among them only when it is its own. */
export function saeParameters(prefix: string, { D, F, tied }: SaeShape): TrainedParameter[] {
  return [
    { name: `${prefix}.encoder`, shape: [F, D] },
    { name: `${prefix}.encoderBias`, shape: [F] },
    ...(tied ? [] : [{ name: `${prefix}.decoder`, shape: [F, D] }]),
    { name: `${prefix}.decoderBias`, shape: [D] },
  ];
}

/**
 * Nodes over the parameters that training moves. The decoder's rows are scaled to length one inside the graph, so that the gradient
 * flows through the scaling and the stored rows may have any length; a tied encoder is the scaled decoder, an untied one is free.
 */
export function trainedNodes(prefix: string, shape: SaeShape, activation: Activation): SaeNodes {
  const { D, F, tied } = shape;
  const decoder = unitRowsNode(ops.state(`${prefix}.${tied ? "encoder" : "decoder"}`, [F, D]));
  return {
    encoder: tied ? decoder : ops.state(`${prefix}.encoder`, [F, D]),
    encoderBias: ops.state(`${prefix}.encoderBias`, [F]),
    decoder,
    decoderBias: ops.state(`${prefix}.decoderBias`, [D]),
    activation,
  };
}

export function activationOf(sparsity: Sparsity): Activation {
  return sparsity.kind === "topk" ? sparsity : { kind: "relu" };
}

/** Each row divided by its length. */
function unitRowsNode(rows: Node): Node {
  return ops.div(rows, ops.sqrt(ops.sum(ops.square(rows), { axes: [1], keepDims: true })));
}
