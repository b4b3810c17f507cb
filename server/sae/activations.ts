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
  /** Names and shapes of the kind's own tensors on a device. */
  readonly tensors: (F: number) => Readonly<Record<string, Shape>>;
  readonly valuesOf: (activation: A) => OwnTensors;
  /** Computes features [N, F], all at least 0, from the encoder's sums [N, F]. `own`: nodes of `tensors`. */
  readonly encode: (sums: Node, activation: A, own: Readonly<Record<string, Node>>) => Node;
  /**
   * The activation of the same features times `lengths` [F], where the sums are multiplied by these too; undefined where
   * which features are active depends on more than a feature's own sum.
   */
  readonly scaled: (activation: A, lengths: Float32Array) => A | undefined;
  readonly file: FileForm<A>;
}

/** The format of a kind in SAELens's (6 and later) files. */
interface FileForm<A> {
  readonly architecture: string;
  /** What the file calls the encoder's bias. */
  readonly bias: "b_enc" | "b_gate";
  /** Names of the kind's own tensors in the file, [F] each. */
  readonly tensors: readonly string[];
  /** Members of cfg.json that the kind adds. */
  readonly write: (activation: A) => Readonly<Record<string, unknown>>;
  /** The tensors of the file, from the activation and the encoder's bias. */
  readonly valuesOf: (activation: A, bias: Float32Array) => OwnTensors;
  /** The inverse of both: reads the whole cfg.json, the own tensors and the encoder's bias. Throws `ZodError`. */
  readonly read: (config: unknown, own: OwnTensors, bias: Float32Array) => A;
}

const none = ops.fill([], 0);

/** What most kinds' files have. */
const plainFile = { bias: "b_enc", tensors: [], write: () => ({}), valuesOf: () => ({}) } as const;

export const activationRules: { readonly [K in Activation["kind"]]: ActivationRule<ActivationOf<K>> } = {
  relu: {
    tensors: () => ({}),
    valuesOf: () => ({}),
    encode: (sums) => ops.relu(sums),
    scaled: (activation) => activation,
    file: { ...plainFile, architecture: "standard", read: () => ({ kind: "relu" }) },
  },
  topk: {
    tensors: () => ({}),
    valuesOf: () => ({}),
    encode: (sums, { k }) => ops.relu(ops.keepTopK(sums, k)),
    scaled: () => undefined,
    file: {
      ...plainFile,
      architecture: "topk",
      write: ({ k }) => ({ k, rescale_acts_by_decoder_norm: false }),
      read: (config) => ({ kind: "topk", k: topkConfig.parse(config).k }),
    },
  },
  jumprelu: {
    tensors: (F) => ({ threshold: [F] }),
    valuesOf: ({ threshold }) => ({ threshold }),
    encode: (sums, _, { threshold = none }) => ops.mul(ops.relu(sums), ops.greater(sums, threshold)),
    scaled: ({ threshold }, lengths) => ({ kind: "jumprelu", threshold: product(threshold, lengths) }),
    file: {
      ...plainFile,
      architecture: "jumprelu",
      tensors: ["threshold"],
      valuesOf: ({ threshold }) => ({ threshold }),
      read: (_, { threshold = new Float32Array() }) => ({ kind: "jumprelu", threshold }),
    },
  },
  // Rajamanoharan et al. 2024, https://arxiv.org/abs/2404.16014: the gate's sums are the encoder's; the magnitude's are
  // exp(r_mag) times those without b_gate, plus b_mag.
  gated: {
    tensors: (F) => ({ gain: [F], shift: [F] }),
    valuesOf: ({ gain, shift }) => ({ gain, shift }),
    encode: (sums, _, { gain = none, shift = none }) =>
      ops.mul(ops.relu(ops.add(ops.mul(sums, gain), shift)), ops.greater(sums, none)),
    scaled: ({ gain, shift }, lengths) => ({ kind: "gated", gain, shift: product(shift, lengths) }),
    file: {
      architecture: "gated",
      bias: "b_gate",
      tensors: ["r_mag", "b_mag"],
      write: () => ({}),
      valuesOf: ({ gain, shift }, bias) => ({
        r_mag: gain.map(Math.log),
        b_mag: shift.map((value, at) => value + (bias[at] ?? 0) * (gain[at] ?? 0)),
      }),
      read: (_, { r_mag = new Float32Array(), b_mag = new Float32Array() }, bias) =>
        gatedOf({ r_mag, b_mag, b_gate: bias }),
    },
  },
};

const topkConfig = z.object({
  k: z.int().positive(),
});

/** The gated activation of a file's tensors: the magnitude from the gate's sums. */
export function gatedOf({ r_mag, b_mag, b_gate }: Readonly<Record<"r_mag" | "b_mag" | "b_gate", Float32Array>>) {
  const gain = r_mag.map(Math.exp);
  const shift = b_mag.map((value, at) => value - (b_gate[at] ?? 0) * (gain[at] ?? 0));
  return { kind: "gated", gain, shift } as const;
}

function product(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, at) => value * (b[at] ?? 0));
}

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
