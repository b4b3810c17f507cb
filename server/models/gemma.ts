/**
 * Gemma 1: Gemma Team 2024, https://arxiv.org/abs/2403.08295; names and order as in transformers. The padding token's
 * embedding gets a gradient here where the token occurs in a text; torch's `padding_idx` drops it.
 */
import { z } from "zod";
import {
  count,
  epsilon,
  layerCount,
  refuseUnread,
  requireRope,
  ropeBase,
  ropeFields,
  ropeOf,
  specialIds,
  tokenId,
  tokenIds,
  usableContext,
} from "./config-fields.ts";
import { decoder } from "./decoder.ts";
import type { DecoderConfig } from "./decoder-config.ts";
import { ConfigError } from "./errors.ts";

export interface GemmaConfig extends DecoderConfig {
  readonly modelType: "gemma";
}

const schema = z.object({
  model_type: z.literal("gemma"),
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  num_key_value_heads: count,
  head_dim: count.multipleOf(2),
  intermediate_size: count,
  // "gelu" in the first checkpoints was a slip: the model was trained with the tanh form, and transformers treats it so.
  hidden_act: z.enum(["gelu", "gelu_pytorch_tanh"]).nullish(),
  hidden_activation: z.enum(["gelu", "gelu_pytorch_tanh"]).nullish(),
  rope_theta: ropeBase.optional(),
  ...ropeFields,
  max_position_embeddings: count,
  rms_norm_eps: epsilon.default(1e-6),
  attention_bias: z.literal(false).default(false),
  tie_word_embeddings: z.boolean().default(true),
  use_bidirectional_attention: z.literal(false).nullish(),
  bos_token_id: tokenId,
  eos_token_id: tokenIds,
});

function parseGemmaConfig(json: unknown): GemmaConfig {
  requireRope(json);
  const raw = schema.parse(json);
  refuseUnread(json, schema);
  const rope = ropeOf(raw);
  if ((rope.partial_rotary_factor ?? 1) !== 1)
    throw new ConfigError(`partial_rotary_factor is ${rope.partial_rotary_factor}; a Gemma rotates whole heads`);
  if (raw.num_attention_heads % raw.num_key_value_heads !== 0) {
    throw new ConfigError(
      `${raw.num_attention_heads} query heads cannot share ${raw.num_key_value_heads} key heads evenly`,
    );
  }
  return {
    modelType: raw.model_type,
    vocabSize: raw.vocab_size,
    width: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_key_value_heads,
    headDim: raw.head_dim,
    mlpWidth: raw.intermediate_size,
    activation: "gelu_pytorch_tanh",
    rotaryBase: rope.rope_theta ?? raw.rope_theta ?? 10_000,
    rotaryScaling: undefined,
    contextLength: usableContext(raw.max_position_embeddings),
    localWindow: undefined,
    eps: raw.rms_norm_eps,
    tiedHead: raw.tie_word_embeddings,
    biases: { qkv: false, output: false, mlp: false },
    headNorms: false,
    isLocal: [],
    embeddingScale: Math.sqrt(raw.hidden_size),
    ...specialIds(raw),
  };
}

/** Gemma stores the scales of norms minus one. */
export const gemma = decoder(parseGemmaConfig, 1);
