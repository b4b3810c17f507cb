/**
 * Activations, which turn the encoder's sums into features, by kind: one table for all that differs between finished
 * autoencoders. Letters: N tokens, F features.
 */
import { z } from "zod";
import type { Node, Shape } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { Activation } from "./sae.ts";

type ActivationOf<K extends Activation["kind"]> = Extract<Activation, { kind: K }>;

/** Tensors of a kind besides encoder and decoder, by name. */
export type OwnTensors = Readonly<Record<string, Float32Array>>;

export interface ActivationRule<A> {
  /** Names and shapes of the kind's own tensors, on a device and in a file. */
  readonly tensors: (F: number) => Readonly<Record<string, Shape>>;
  readonly valuesOf: (activation: A) => OwnTensors;
  /** Computes features [N, F], all at least 0, from the encoder's sums [N, F]. `own`: nodes of `tensors`. */
  readonly encode: (sums: Node, activation: A, own: Readonly<Record<string, Node>>) => Node;
  readonly file: FileForm<A>;
}

/** The format of a kind in SAELens's (6 and later) cfg.json. */
interface FileForm<A> {
  readonly architecture: string;
  /** Members of cfg.json that the kind adds. */
  readonly write: (activation: A) => Readonly<Record<string, unknown>>;
  /** The inverse: reads the whole cfg.json and the kind's own tensors. Throws `ZodError`. */
  readonly read: (config: unknown, own: OwnTensors) => A;
}

export const activationRules: { readonly [K in Activation["kind"]]: ActivationRule<ActivationOf<K>> } = {
  relu: {
    tensors: () => ({}),
    valuesOf: () => ({}),
    encode: (sums) => ops.relu(sums),
    file: { architecture: "standard", write: () => ({}), read: () => ({ kind: "relu" }) },
  },
  topk: {
    tensors: () => ({}),
    valuesOf: () => ({}),
    encode: (sums, { k }) => ops.relu(ops.keepTopK(sums, k)),
    file: {
      architecture: "topk",
      write: ({ k }) => ({ k, rescale_acts_by_decoder_norm: false }),
      read: (config) => ({ kind: "topk", k: topkConfig.parse(config).k }),
    },
  },
  jumprelu: {
    tensors: (F) => ({ threshold: [F] }),
    valuesOf: ({ threshold }) => ({ threshold }),
    encode: (sums, _, { threshold = none }) => ops.mul(ops.relu(sums), ops.greater(sums, threshold)),
    file: {
      architecture: "jumprelu",
      write: () => ({}),
      read: (_, { threshold = new Float32Array() }) => ({ kind: "jumprelu", threshold }),
    },
  },
};

const none = ops.fill([], 0);

const topkConfig = z.object({
  k: z.int().positive(),
  rescale_acts_by_decoder_norm: z.literal(false).default(false),
});

export function activationRule<A extends Activation>({ kind }: A): ActivationRule<A> {
  // The table pairs each kind with its own rule; the type parameter cannot express that pairing.
  return activationRules[kind] as unknown as ActivationRule<A>;
}

/** The rule that reads files of a SAELens architecture, or undefined. */
export function ruleOfArchitecture(architecture: string): ActivationRule<Activation> | undefined {
  return allRules().find(({ file }) => file.architecture === architecture);
}

export function architectures(): string[] {
  return allRules().map(({ file }) => file.architecture);
}

function allRules(): ActivationRule<Activation>[] {
  return Object.values(activationRules) as unknown as ActivationRule<Activation>[];
}
