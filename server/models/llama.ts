/**
 * Llama 1 to 3 (and SmolLM2, which is one), https://arxiv.org/abs/2407.21783, and Mistral, https://arxiv.org/abs/2310.06825,
 * which is a Llama whose layers see a window.
 */
import { z } from "zod";
import { count } from "./config-fields.ts";
import { decoder } from "./decoder.ts";
import { type DecoderConfig, decoderConfig, decoderFields, parseDecoder } from "./decoder-config.ts";

export interface LlamaConfig extends DecoderConfig {
  readonly modelType: "llama";
}

export interface MistralConfig extends DecoderConfig {
  readonly modelType: "mistral";
}

const llamaSchema = z.object({
  ...decoderFields,
  model_type: z.literal("llama"),
  num_key_value_heads: count.nullish().transform((heads) => heads ?? null),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});

const mistralSchema = z.object({
  ...decoderFields,
  model_type: z.literal("mistral"),
  /** Mistral 7B's own where the file has none; null: every layer sees all. */
  sliding_window: count.nullable().default(4096),
});

export const llama = decoder((json: unknown): LlamaConfig => {
  const raw = parseDecoder(json, llamaSchema);
  const bias = raw.attention_bias;
  const config = decoderConfig(raw, { biases: { qkv: bias, output: bias, mlp: raw.mlp_bias } });
  return { modelType: raw.model_type, ...config };
});

export const mistral = decoder((json: unknown): MistralConfig => {
  const raw = parseDecoder(json, mistralSchema);
  const localWindow = raw.sliding_window ?? undefined;
  const config = decoderConfig(raw, {
    isLocal: Array.from({ length: raw.num_hidden_layers }, () => localWindow !== undefined),
    localWindow,
  });
  return { modelType: raw.model_type, ...config };
});
