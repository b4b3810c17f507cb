/** Configs of the decoder family: the fields that its members share, and the switches in which they differ. */
import { z } from "zod";
import type { RotaryScaling } from "../engine/graph.ts";
import type { BaseConfig } from "./architecture.ts";
import {
  activation,
  count,
  epsilon,
  headDimension,
  layerCount,
  refuseUnread,
  requireRope,
  ropeBase,
  ropeParameters,
  specialIds,
  tokenId,
  tokenIds,
  usableContext,
} from "./config-fields.ts";
import { ConfigError } from "./errors.ts";

/** A decoder of the family: rotary positions, gated MLP, RMS norms; queries may share keys. */
export interface DecoderConfig extends BaseConfig, DecoderSwitches {
  readonly mlpWidth: number;
  readonly activation: string;
  readonly rotation: Rotation;
  readonly eps: number;
  readonly tiedHead: boolean;
}

/** How positions turn a layer's queries and keys. */
export interface Rotation {
  readonly base: number;
  readonly scaling: RotaryScaling | undefined;
}

/** In what the members of the family differ. */
export interface DecoderSwitches {
  /** Whether queries, keys and values have biases, attention's output, and the MLP. */
  readonly biases: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean };
  /** Where norms stand in a layer: before attention and MLP, on their outputs, or both. */
  readonly norms: "before" | "after" | "both";
  /** What norms of queries and keys see before these are rotated: a head each, or all heads at once. */
  readonly queryKeyNorms: "none" | "head" | "heads";
  /** Whether a layer sees `localWindow` keys only; one per layer. */
  readonly isLocal: readonly boolean[];
  /** Of layers with a window; undefined: as of the others. */
  readonly localRotation: Rotation | undefined;
  /** What attention's scores are multiplied by; undefined: one over the root of a head's size. */
  readonly attentionScale: number | undefined;
  /** Bounds attention's scores, as `logitCap` does logits. */
  readonly attentionCap: number | undefined;
  /** What embeddings are multiplied by. */
  readonly embeddingScale: number;
}

type Switches = DecoderSwitches & Pick<BaseConfig, "localWindow" | "logitCap">;

const llamaSwitches: Switches = {
  biases: { qkv: false, output: false, mlp: false },
  norms: "before",
  queryKeyNorms: "none",
  isLocal: [],
  localWindow: undefined,
  localRotation: undefined,
  attentionScale: undefined,
  attentionCap: undefined,
  logitCap: undefined,
  embeddingScale: 1,
};

/** Fields that all members have; each adds its own. */
export const decoderFields = {
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  /** null: as many as query heads. */
  num_key_value_heads: count.nullable(),
  head_dim: count.multipleOf(2).nullish(),
  hidden_act: z.string().default("silu"),
  max_position_embeddings: count,
  rms_norm_eps: epsilon.default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  rope_theta: ropeBase.optional(),
  rope_parameters: z.unknown().optional(),
  rope_scaling: z.unknown().optional(),
  partial_rotary_factor: z.literal(1).nullish(),
  bos_token_id: tokenId,
  eos_token_id: tokenIds,
};

type DecoderFields = z.infer<z.ZodObject<typeof decoderFields>>;

/** Types of rotation that are computed. */
export const rotationTypes: readonly string[] = ["default", "llama3", "linear"];

/**
 * Types and checks config.json by a member's schema. Throws `ConfigError` for a rotation of a type that is not
 * implemented, before anything else, and for keys that are not read; `ZodError` for fields of other values.
 */
export function parseDecoder<S extends z.ZodObject>(json: unknown, schema: S): z.infer<S> {
  requireRope(json, rotationTypes);
  const raw = schema.parse(json);
  refuseUnread(json, schema);
  return raw;
}

/**
 * The config of the parsed fields and the switches in which the member is no Llama. Throws `ConfigError` for fields that
 * contradict one another.
 */
export function decoderConfig(raw: DecoderFields, switches: Partial<Switches>): DecoderConfig {
  const heads = raw.num_attention_heads;
  const kvHeads = raw.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0)
    throw new ConfigError(`${heads} query heads cannot share ${kvHeads} key heads evenly (num_key_value_heads)`);
  const headDim = raw.head_dim ?? headDimension(raw.hidden_size, heads);
  if (headDim % 2 !== 0)
    throw new ConfigError(`all ${headDim} dimensions of a head are rotated, which takes an even number`);
  activation(raw.hidden_act);
  return {
    vocabSize: raw.vocab_size,
    width: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    mlpWidth: raw.intermediate_size,
    activation: raw.hidden_act,
    rotation: rotationOf(raw),
    contextLength: usableContext(raw.max_position_embeddings),
    eps: raw.rms_norm_eps,
    tiedHead: raw.tie_word_embeddings,
    ...specialIds(raw),
    ...llamaSwitches,
    ...switches,
  };
}

/** `layer_types`, one a layer. */
export const layerTypes = z.array(z.enum(["full_attention", "sliding_attention"])).nullish();

/**
 * Which layers see a window: those that `layer_types` names, without them those that `isLocal` names. Throws
 * `ConfigError` for a number of types other than of layers, and for a layer with a window where there is none.
 */
export function layerWindows(
  raw: { readonly num_hidden_layers: number; readonly layer_types?: z.infer<typeof layerTypes> },
  window: number | undefined,
  isLocal: (layer: number) => boolean,
): Pick<DecoderConfig, "isLocal" | "localWindow"> {
  const { num_hidden_layers: layers, layer_types: types } = raw;
  if (types && types.length !== layers)
    throw new ConfigError(`layer_types has ${types.length} layers, but num_hidden_layers is ${layers}`);
  const local = Array.from({ length: layers }, (_, layer) =>
    types ? types[layer] === "sliding_attention" : isLocal(layer),
  );
  const hasLocal = local.includes(true);
  if (hasLocal && window === undefined)
    throw new ConfigError(
      "layer_types has a sliding_attention, but there is no window: expected a sliding_window, and use_sliding_window true in a Qwen",
    );
  return { isLocal: local, localWindow: hasLocal ? window : undefined };
}

const plainRope = ropeParameters
  .unwrap()
  .unwrap()
  .extend({ partial_rotary_factor: z.literal(1).optional() });
const slowedRope = plainRope.extend({ factor: z.number().min(1).max(1e6) });
const stretchedRope = slowedRope.extend({
  low_freq_factor: z.number().positive().max(1e6),
  high_freq_factor: z.number().positive().max(1e6),
  original_max_position_embeddings: count,
});

/** Like transformers, `rope_scaling` replaces `rope_parameters` unless it is empty. */
function rotationOf(raw: DecoderFields): Rotation {
  const field = isEmpty(raw.rope_scaling) ? "rope_parameters" : "rope_scaling";
  return rotationIn(field, raw[field], raw.rope_theta ?? 10_000);
}

/**
 * The rotation that a field of config.json describes; `base` where it names none. Throws `ConfigError`, and `ZodError`
 * for members that its type does not have.
 */
export function rotationIn(field: string, value: unknown, base: number): Rotation {
  const given = value ?? {};
  const { rope_type, type } = z.looseObject({ rope_type: z.unknown(), type: z.unknown() }).partial().parse(given);
  const read = <T>(schema: z.ZodType<T>): T | undefined =>
    z.object({ [field]: schema }).parse({ [field]: given })[field];
  switch (rope_type ?? type) {
    case "llama3": {
      const rope = read(stretchedRope);
      return { base: rope?.rope_theta ?? base, scaling: rope && scalingOf(field, rope) };
    }
    case "linear": {
      const rope = read(slowedRope);
      return { base: rope?.rope_theta ?? base, scaling: rope && allSlowed(rope.factor) };
    }
    default:
      return { base: read(plainRope)?.rope_theta ?? base, scaling: undefined };
  }
}

/** Every pair slower by the factor: none makes a whole turn within one position. */
function allSlowed(factor: number): RotaryScaling {
  return { factor, lowFactor: 1, highFactor: 2, originalPositions: 1 };
}

function scalingOf(field: string, rope: z.infer<typeof stretchedRope>): RotaryScaling {
  const { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } = rope;
  if (high_freq_factor <= low_freq_factor)
    throw new ConfigError(
      `${field}: high_freq_factor is ${high_freq_factor}; expected more than low_freq_factor, ${low_freq_factor}`,
    );
  return {
    factor,
    lowFactor: low_freq_factor,
    highFactor: high_freq_factor,
    originalPositions: original_max_position_embeddings,
  };
}

/** Whether a field says nothing. */
export function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}
