/**
 * Gemma 1, https://arxiv.org/abs/2403.08295; Gemma 2, https://arxiv.org/abs/2408.00118, whose layers norm outputs as well,
 * bound scores and logits, and see a window in turn; Gemma 3, https://arxiv.org/abs/2503.19786, whose heads have norms
 * instead of bounds. Names as in transformers. The padding token's embedding gets a gradient here where the token occurs
 * in a text; torch's `padding_idx` drops it.
 */
import { z } from "zod";
import { count, layerCount, requireRope, requireSame, ropeBase } from "./config-fields.ts";
import { decoder } from "./decoder.ts";
import {
  type DecoderConfig,
  decoderConfig,
  decoderFields,
  isEmpty,
  layerTypes,
  layerWindows,
  parseDecoder,
  type Rotation,
  rotationIn,
  rotationTypes,
} from "./decoder-config.ts";

export interface GemmaConfig extends DecoderConfig {
  readonly modelType: "gemma";
}

export interface Gemma2Config extends DecoderConfig {
  readonly modelType: "gemma2";
}

export interface Gemma3Config extends DecoderConfig {
  readonly modelType: "gemma3_text";
}

const tanhGelu = "gelu_pytorch_tanh";
// "gelu" in the first checkpoints was a slip: the model was trained with the tanh form, and transformers treats it so.
const firstGelu = z.enum(["gelu", tanhGelu]).nullish();

const gemmaSchema = z.object({
  ...decoderFields,
  model_type: z.literal("gemma"),
  num_key_value_heads: count,
  head_dim: count.multipleOf(2),
  hidden_act: firstGelu.transform(() => tanhGelu),
  hidden_activation: firstGelu,
  attention_bias: z.literal(false).default(false),
  tie_word_embeddings: z.boolean().default(true),
  use_bidirectional_attention: z.literal(false).nullish(),
});

/** Gemma stores the scales of norms minus one. */
const normOffset = 1;

export const gemma = decoder((json: unknown): GemmaConfig => {
  const raw = parseDecoder(json, gemmaSchema);
  const config = decoderConfig(raw, { embeddingScale: Math.sqrt(raw.hidden_size) });
  return { modelType: raw.model_type, ...config };
}, normOffset);

const cap = z.number().positive().max(1e6);

/** What Gemma 2 and 3 share. The numbers are transformers' own where the file has none. */
const laterFields = {
  ...decoderFields,
  num_key_value_heads: count.default(4),
  head_dim: count.multipleOf(2).default(256),
  /** Not read by transformers, which reads `hidden_activation`. */
  hidden_act: z.unknown().optional(),
  hidden_activation: z.string().default(tanhGelu),
  attention_bias: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
  use_bidirectional_attention: z.literal(false).nullish(),
  query_pre_attn_scalar: z.number().positive().max(1e6).default(256),
  sliding_window: count.default(4096),
  layer_types: layerTypes,
};
type LaterFields = z.infer<z.ZodObject<typeof laterFields>>;

const gemma2Schema = z.object({
  ...laterFields,
  model_type: z.literal("gemma2"),
  attn_logit_softcapping: cap.nullable().default(50),
  final_logit_softcapping: cap.nullable().default(30),
});

export const gemma2 = decoder((json: unknown): Gemma2Config => {
  const raw = parseDecoder(json, gemma2Schema);
  const config = laterConfig(raw, (layer) => layer % 2 === 0, {
    attentionCap: raw.attn_logit_softcapping ?? undefined,
    logitCap: raw.final_logit_softcapping ?? undefined,
  });
  return { modelType: raw.model_type, ...config };
}, normOffset);

/** The config of the larger models, which also read images, leaves out what is as here. */
const gemma3Schema = z.object({
  ...laterFields,
  model_type: z.literal("gemma3_text"),
  vocab_size: count.default(262_208),
  hidden_size: count.default(2304),
  intermediate_size: count.default(9216),
  num_hidden_layers: layerCount.default(26),
  num_attention_heads: count.default(8),
  max_position_embeddings: count.default(131_072),
  rope_theta: ropeBase.default(1e6),
  rope_local_base_freq: ropeBase.default(1e4),
  /** transformers 5 drops it. */
  attn_logit_softcapping: z.null().optional(),
  final_logit_softcapping: cap.nullable().default(null),
  sliding_window_pattern: count.default(6),
  /** As transformers 4 saved it, beside `layer_types`. */
  _sliding_window_pattern: count.optional(),
});

const gemma3Alone = decoder((json: unknown): Gemma3Config => {
  const { rope_parameters, ...rest } = z.record(z.string(), z.unknown()).parse(json);
  const raw = { ...parseDecoder(rest, gemma3Schema), rope_parameters };
  const pattern = raw.sliding_window_pattern;
  if (!raw.layer_types)
    requireSame("_sliding_window_pattern", raw._sliding_window_pattern, pattern, "sliding_window_pattern");
  const { full, sliding } = rotationsOf(raw);
  const config = laterConfig(raw, (layer) => (layer + 1) % pattern !== 0, {
    queryKeyNorms: "head",
    logitCap: raw.final_logit_softcapping ?? undefined,
    localRotation: sliding,
  });
  return { modelType: raw.model_type, ...config, rotation: full };
}, normOffset);

/** Also as part of a model that reads images, whose other parts are skipped. */
export const gemma3: typeof gemma3Alone = {
  ...gemma3Alone,
  ignorable: new RegExp(`${gemma3Alone.ignorable.source}|^(model\\.)?(vision_tower|multi_modal_projector)\\.`),
  bodyPrefixes: [...gemma3Alone.bodyPrefixes, "language_model.model.", "model.language_model."],
  headNames: [...gemma3Alone.headNames, "language_model.lm_head.weight"],
};

function laterConfig(
  raw: LaterFields,
  isLocal: (layer: number) => boolean,
  own: Parameters<typeof decoderConfig>[1],
): DecoderConfig {
  const bias = raw.attention_bias;
  return decoderConfig(
    { ...raw, rope_parameters: undefined, hidden_act: raw.hidden_activation },
    {
      biases: { qkv: bias, output: bias, mlp: false },
      norms: "both",
      embeddingScale: Math.sqrt(raw.hidden_size),
      attentionScale: 1 / Math.sqrt(raw.query_pre_attn_scalar),
      ...layerWindows(raw, raw.sliding_window, isLocal),
      ...own,
    },
  );
}

const byLayerType = z.object({
  rope_parameters: z
    .strictObject({ full_attention: z.unknown().optional(), sliding_attention: z.unknown().optional() })
    .nullish(),
});

/**
 * Rotations of Gemma 3 by a layer's type: `rope_parameters` of transformers 5 have one for each; before, layers without a
 * window had `rope_theta` and `rope_scaling`, which transformers 5 still lets replace its own. Throws as `rotationIn` does.
 */
function rotationsOf(raw: {
  readonly rope_parameters?: unknown;
  readonly rope_scaling?: unknown;
  readonly rope_theta: number;
  readonly rope_local_base_freq: number;
}): { readonly full: Rotation; readonly sliding: Rotation } {
  const given = byLayerType.parse(raw).rope_parameters ?? {};
  const own = isEmpty(raw.rope_scaling)
    ? given.full_attention
    : { ...asRecord(given.full_attention), ...asRecord(raw.rope_scaling) };
  for (const kind of [own, given.sliding_attention]) requireRope({ rope_parameters: kind }, rotationTypes);
  return {
    full: rotationIn("rope_parameters", own, raw.rope_theta),
    sliding: rotationIn("rope_parameters", given.sliding_attention, raw.rope_local_base_freq),
  };
}

function asRecord(value: unknown): Record<string, unknown> {
  return z.record(z.string(), z.unknown()).parse(value ?? {});
}
