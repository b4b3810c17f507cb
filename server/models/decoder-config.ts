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
  readonly rotaryBase: number;
  readonly rotaryScaling: RotaryScaling | undefined;
  readonly eps: number;
  readonly tiedHead: boolean;
}

/** In what the members of the family differ. */
export interface DecoderSwitches {
  /** Whether queries, keys and values have biases, attention's output, and the MLP. */
  readonly biases: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean };
  /** Whether each head's queries and keys pass a norm before they are rotated. */
  readonly headNorms: boolean;
  /** Whether a layer sees `localWindow` keys only; one per layer. */
  readonly isLocal: readonly boolean[];
  /** What embeddings are multiplied by. */
  readonly embeddingScale: number;
}

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

/**
 * Types and checks config.json by a member's schema. Throws `ConfigError` for a rotation of a type that is not
 * implemented, before anything else, and for keys that are not read; `ZodError` for fields of other values.
 */
export function parseDecoder<S extends z.ZodObject>(json: unknown, schema: S): z.infer<S> {
  requireRope(json, ["default", "llama3"]);
  const raw = schema.parse(json);
  refuseUnread(json, schema);
  return raw;
}

/** The config of the parsed fields and the member's switches. Throws `ConfigError` for fields that contradict one another. */
export function decoderConfig(
  raw: DecoderFields,
  switches: DecoderSwitches & Pick<BaseConfig, "localWindow">,
): DecoderConfig {
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
    ...rotationOf(raw),
    contextLength: usableContext(raw.max_position_embeddings),
    eps: raw.rms_norm_eps,
    tiedHead: raw.tie_word_embeddings,
    ...specialIds(raw),
    ...switches,
  };
}

const plainRope = ropeParameters
  .unwrap()
  .unwrap()
  .extend({ partial_rotary_factor: z.literal(1).optional() });
const stretchedRope = plainRope.extend({
  factor: z.number().min(1).max(1e6),
  low_freq_factor: z.number().positive().max(1e6),
  high_freq_factor: z.number().positive().max(1e6),
  original_max_position_embeddings: count,
});

/** Like transformers, `rope_scaling` replaces `rope_parameters` unless it is empty. */
function rotationOf(raw: DecoderFields): Pick<DecoderConfig, "rotaryBase" | "rotaryScaling"> {
  const field = isEmpty(raw.rope_scaling) ? "rope_parameters" : "rope_scaling";
  const given = raw[field] ?? {};
  const { rope_type, type } = z.looseObject({ rope_type: z.unknown(), type: z.unknown() }).partial().parse(given);
  const isStretched = (rope_type ?? type) === "llama3";
  if (!isStretched) {
    const plain = z.object({ [field]: plainRope }).parse({ [field]: given })[field];
    return { rotaryBase: plain?.rope_theta ?? raw.rope_theta ?? 10_000, rotaryScaling: undefined };
  }
  const rope = z.object({ [field]: stretchedRope }).parse({ [field]: given })[field];
  return {
    rotaryBase: rope?.rope_theta ?? raw.rope_theta ?? 10_000,
    rotaryScaling: rope && scalingOf(field, rope),
  };
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

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}
