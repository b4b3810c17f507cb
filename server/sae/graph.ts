/**
 * Sparse autoencoders as graphs. Letters: N tokens, D width of the encoded activations, F features. Method: Marks et
 * al., section 3.2.
 */
import type { Update } from "../engine/device.ts";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { TrainedParameter } from "../engine/optimizer.ts";
import { activationRule } from "./activations.ts";
import type { SaeConfig, Sparsity } from "./config.ts";
import type { Activation } from "./sae.ts";
import { sparsityRule, type TrainedFeatures } from "./sparsity.ts";

/** An autoencoder's weights as nodes, in the form that products take. */
export interface WeightNodes {
  /** [F, D] */
  readonly encoder: Node;
  /** [F] */
  readonly encoderBias: Node;
  /** [F, D], rows of length one */
  readonly decoder: Node;
  /** [D] */
  readonly decoderBias: Node;
  /** Own tensors of the activation or of the sparsity, by name. */
  readonly own: Readonly<Record<string, Node>>;
}

/** Nodes of a finished autoencoder. */
export interface SaeNodes extends WeightNodes {
  readonly activation: Activation;
}

/** Nodes of an autoencoder in training. */
export interface TrainedNodes extends WeightNodes {
  readonly sparsity: Sparsity;
}

/** Sizes of one autoencoder, and whether encoder and decoder are tied. */
export interface SaeShape {
  readonly D: number;
  readonly F: number;
  readonly tied: boolean;
}

/** Outputs of one training step: the loss to minimise and the values behind its metrics. */
export interface SaeLoss {
  readonly loss: Node;
  /** [N, F] */
  readonly features: Node;
  /** Sum over tokens of the squared Euclidean distance ‖x̂ - x‖². */
  readonly squares: Node;
  /** Sum over tokens and features of the activations. */
  readonly featureSum: Node;
  /** [F]: number of tokens at which each feature is active. */
  readonly fired: Node;
  /** The next values of what the sparsity tracks, by name. */
  readonly tracked: Readonly<Record<string, Node>>;
}

/** Features [N, F] of x [N, D], all at least 0. */
export function encodeNode(x: Node, { encoder, encoderBias, activation, own }: SaeNodes): Node {
  return activationRule(activation).encode(ops.linear(x, encoder, encoderBias), activation, own);
}

/** Reconstruction [N, D] of features [N, F]. */
export function decodeNode(features: Node, { decoder, decoderBias }: WeightNodes): Node {
  return ops.add(ops.matmul(features, decoder), decoderBias);
}

/**
 * The loss: mean over tokens of ‖x̂ - x‖² (`mse` "sum") or of ‖x̂ - x‖² / D ("mean"), plus the sparsity's penalty if
 * it has one.
 */
export function saeLoss(x: Node, nodes: TrainedNodes, { mse }: Pick<SaeConfig, "mse">): SaeLoss {
  const [N = 1, D = 1] = x.shape;
  const { encoder, encoderBias, sparsity, own } = nodes;
  const trained = sparsityRule(sparsity).train(ops.linear(x, encoder, encoderBias), sparsity, own);
  const squares = ops.sum(ops.square(ops.sub(reconstructionOf(trained, nodes), x)));
  const reconstruction = ops.affine(squares, mse === "sum" ? 1 / N : 1 / (N * D));
  const { features, few, penalty } = trained;
  return {
    loss: penalty === undefined ? reconstruction : ops.add(reconstruction, penalty),
    features,
    squares,
    featureSum: ops.sum(few?.values ?? features),
    fired: ops.sum(activeOf(trained), { axes: [0] }),
    tracked: trained.tracked ?? {},
  };
}

/** x̂ [N, D]; where few features are active, computed without a product over all features. */
function reconstructionOf({ features, few }: TrainedFeatures, nodes: WeightNodes): Node {
  return few === undefined
    ? decodeNode(features, nodes)
    : ops.add(ops.embeddingBag(nodes.decoder, few.ids, few.values), nodes.decoderBias);
}

/** [N, F]: 1 where a feature is active. */
function activeOf({ features, few }: TrainedFeatures): Node {
  return few === undefined ? positive(features) : ops.scatterRow(positive(few.values), few.ids, features.shape[1] ?? 0);
}

function positive(x: Node): Node {
  return ops.greater(x, ops.fill([], 0));
}

/** The parameters that training updates, under `prefix`: the decoder is among them only if it is untied. */
export function saeParameters(prefix: string, { D, F, tied }: SaeShape, sparsity: Sparsity): TrainedParameter[] {
  return [
    { name: `${prefix}.encoder`, shape: [F, D] },
    { name: `${prefix}.encoderBias`, shape: [F] },
    ...(tied ? [] : [{ name: `${prefix}.decoder`, shape: [F, D] }]),
    { name: `${prefix}.decoderBias`, shape: [D] },
    ...sparsityRule(sparsity)
      .parameters(sparsity, F)
      .map(({ name, shape }) => ({ name: `${prefix}.${name}`, shape })),
  ];
}

/**
 * Nodes over the parameters that training updates. The graph scales the decoder's rows to length one, so the
 * gradient flows through the scaling and the stored rows may have any length; a tied encoder is the scaled decoder,
 * an untied one is free.
 */
export function trainedNodes(prefix: string, shape: SaeShape, sparsity: Sparsity): TrainedNodes {
  const { D, F, tied } = shape;
  const decoder = unitRowsNode(ops.state(`${prefix}.${tied ? "encoder" : "decoder"}`, [F, D]));
  const { parameters, tracked = [] } = sparsityRule(sparsity);
  const own = [...parameters(sparsity, F), ...tracked.map((name) => ({ name, shape: [] }))];
  return {
    encoder: tied ? decoder : ops.state(`${prefix}.encoder`, [F, D]),
    encoderBias: ops.state(`${prefix}.encoderBias`, [F]),
    decoder,
    decoderBias: ops.state(`${prefix}.decoderBias`, [D]),
    own: Object.fromEntries(own.map((entry) => [entry.name, ops.state(`${prefix}.${entry.name}`, entry.shape)])),
    sparsity,
  };
}

/** Sets the state of what the sparsity tracks to the next values of a step. */
export function trackedUpdates(prefix: string, tracked: SaeLoss["tracked"]): Update[] {
  return Object.entries(tracked).map(([name, value]) => ({
    kind: "assign",
    target: ops.state(`${prefix}.${name}`, value.shape),
    value,
  }));
}

/** Each row divided by its length. */
function unitRowsNode(rows: Node): Node {
  return ops.div(rows, ops.sqrt(ops.sum(ops.square(rows), { axes: [1], keepDims: true })));
}
