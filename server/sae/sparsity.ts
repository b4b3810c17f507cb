/**
 * Sparsity, which keeps few features active during training, by kind: one table for all that differs between
 * trainings. A trained autoencoder then has an activation (activations.ts). Letters: N tokens, D width, F features.
 */
import type { Node, Shape } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { activationRules, type OwnTensors } from "./activations.ts";
import type { Sparsity } from "./config.ts";
import type { Activation } from "./sae.ts";

type SparsityOf<K extends Sparsity["kind"]> = Extract<Sparsity, { kind: K }>;

export interface SparsityRule<S> {
  /**
   * Parameters that training updates besides encoder, decoder and biases; all elements of one start at the same
   * number.
   */
  readonly parameters: (settings: S, F: number) => readonly OwnParameter[];
  /** What training keeps besides, scalars that start at 0: each step sets them to `tracked` of its result. */
  readonly tracked?: readonly string[];
  /** Computes the features from the encoder's sums [N, F]. `own`: nodes of `parameters` and `tracked`. */
  readonly train: (sums: Node, settings: S, own: Readonly<Record<string, Node>>) => TrainedFeatures;
  /** The activation of the finished autoencoder, from the trained own parameters and what was tracked. */
  readonly activation: (settings: S, own: OwnTensors, F: number) => Activation;
  /** Settings that dictionaries of F features cannot satisfy. */
  readonly issues: (settings: S, F: number) => readonly SparsityIssue[];
  readonly inWords: (settings: S) => string;
}

export interface OwnParameter {
  readonly name: string;
  readonly shape: Shape;
  readonly initial: number;
}

/** What a training step computes from the sums. */
export interface TrainedFeatures {
  /** [N, F], all at least 0 */
  readonly features: Node;
  /**
   * The same features where at most K of a token's are active: places [N, K] and values [N, K]. Training then
   * computes these alone.
   */
  readonly few?: { readonly ids: Node; readonly values: Node };
  /** A scalar that is added to the reconstruction loss. */
  readonly penalty?: Node;
  /** The next values of what is tracked. */
  readonly tracked?: Readonly<Record<string, Node>>;
}

export interface SparsityIssue {
  /** The setting that is wrong. */
  readonly field: string;
  readonly message: string;
}

export const sparsityRules: { readonly [K in Sparsity["kind"]]: SparsityRule<SparsityOf<K>> } = {
  // Marks et al., section 3.2. Features are never negative, so their sum is their L1 norm.
  l1: {
    parameters: () => [],
    train: (sums, { coefficient }) => {
      const features = ops.relu(sums);
      return { features, penalty: ops.affine(ops.sum(features), coefficient / (sums.shape[0] ?? 1)) };
    },
    activation: () => ({ kind: "relu" }),
    issues: () => [],
    inWords: ({ coefficient }) => `L1 of ${coefficient}`,
  },
  // Gao et al. 2024 (https://arxiv.org/abs/2406.04093).
  topk: {
    parameters: () => [],
    train: (sums, settings, own) => {
      const ids = ops.topKIndices(sums, settings.k);
      const values = ops.relu(ops.gatherRow(sums, ids));
      return { features: activationRules.topk.encode(sums, settings, own), few: { ids, values } };
    },
    activation: ({ k }) => ({ kind: "topk", k }),
    issues: ({ k }, F) =>
      k > F ? [{ field: "k", message: `got ${k}; the smallest dictionary has ${F} features` }] : [],
    inWords: ({ k }) => `top ${k}`,
  },
  // Bussmann et al. 2024 (https://arxiv.org/abs/2412.06410). The threshold is an exponential mean over steps, with the
  // weights of all steps so far, so that it does not lean to its start.
  batchtopk: {
    parameters: () => [],
    tracked: ["smallest", "weight"],
    train: (sums, { k, thresholdRate }, own) => {
      const [N = 1, F = 1] = sums.shape;
      const kept = ops.keepTopK(ops.reshape(sums, [1, N * F]), Math.max(1, Math.floor(k * N)));
      const features = ops.relu(ops.reshape(kept, [N, F]));
      return { features, tracked: movedThreshold(ops.stopGradient(features), thresholdRate, own) };
    },
    activation: (_, { smallest = zero, weight = zero }, F) => {
      const threshold = (smallest[0] ?? 0) / (weight[0] || 1);
      return { kind: "jumprelu", threshold: new Float32Array(F).fill(threshold) };
    },
    issues: ({ k }, F) =>
      k > F ? [{ field: "k", message: `got ${k}; the smallest dictionary has ${F} features` }] : [],
    inWords: ({ k }) => `top ${k} in the mean over a batch`,
  },
  // Rajamanoharan et al. 2024 (https://arxiv.org/abs/2407.14435). Thresholds are stored as logarithms, so that they
  // stay above 0.
  jumprelu: {
    parameters: ({ threshold }, F) => [{ name: "logThreshold", shape: [F], initial: Math.log(threshold) }],
    train: (sums, { coefficient, bandwidth }, { logThreshold = ops.fill([], 0) }) => {
      const threshold = ops.exp(logThreshold);
      const active = ops.stopGradient(ops.greater(sums, threshold));
      const density = ops.affine(nearEdge(sums, threshold, bandwidth), -1 / bandwidth);
      const straight = (value: Node, slope: Node): Node => ops.add(value, withSlope(slope, threshold));
      const features = straight(ops.mul(ops.relu(sums), active), ops.mul(density, threshold));
      const count = ops.sum(straight(active, density));
      return { features, penalty: ops.affine(count, coefficient / (sums.shape[0] ?? 1)) };
    },
    activation: (_, { logThreshold = new Float32Array() }) => ({
      kind: "jumprelu",
      threshold: logThreshold.map((value) => Math.exp(value)),
    }),
    issues: () => [],
    inWords: ({ coefficient }) => `learned thresholds, L0 of ${coefficient}`,
  },
};

const zero = new Float32Array(1);
/** Above every feature. */
const beyond = 1e30;

/** The running sum of the smallest feature above 0, and of its weights; both stay where a batch has none. */
function movedThreshold(
  features: Node,
  rate: number,
  { smallest = ops.fill([], 0), weight = ops.fill([], 0) }: Readonly<Record<string, Node>>,
): Readonly<Record<string, Node>> {
  const active = ops.greater(features, ops.fill([], 0));
  const least = ops.negate(ops.max(ops.where(active, ops.negate(features), ops.fill([], -beyond))));
  const isAny = ops.greater(ops.fill([], beyond), least);
  const moved = (from: Node, to: Node): Node =>
    ops.where(isAny, ops.add(ops.affine(from, 1 - rate), ops.affine(to, rate)), from);
  return { smallest: moved(smallest, least), weight: moved(weight, ops.fill([], 1)) };
}

/** [N, F]: 1 where a sum is within half the bandwidth of its feature's threshold; no gradient flows through it. */
function nearEdge(sums: Node, threshold: Node, bandwidth: number): Node {
  const distance = ops.abs(ops.sub(sums, threshold));
  return ops.stopGradient(ops.greater(ops.fill([], bandwidth / 2), distance));
}

/**
 * A node of value zero whose gradient for x is `slope`: the pseudo-derivative of a jump, which has no gradient of
 * its own.
 */
function withSlope(slope: Node, x: Node): Node {
  return ops.mul(ops.stopGradient(slope), ops.sub(x, ops.stopGradient(x)));
}

export function sparsityRule<S extends Sparsity>({ kind }: S): SparsityRule<S> {
  // The table pairs each kind with its own rule; the type parameter cannot express that pairing.
  return sparsityRules[kind] as unknown as SparsityRule<S>;
}
