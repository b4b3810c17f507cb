/**
 * OLMo 2, https://arxiv.org/abs/2501.00656: norms on the outputs of attention and MLP alone, and on all heads of the
 * queries and keys at once.
 */
import { z } from "zod";
import { count, epsilon } from "./config-fields.ts";
import { decoder } from "./decoder.ts";
import { type DecoderConfig, decoderConfig, decoderFields, parseDecoder } from "./decoder-config.ts";

export interface Olmo2Config extends DecoderConfig {
  readonly modelType: "olmo2";
}

const schema = z.object({
  ...decoderFields,
  model_type: z.literal("olmo2"),
  num_key_value_heads: count.nullish().transform((heads) => heads ?? null),
  rms_norm_eps: epsilon.default(1e-5),
  attention_bias: z.boolean().default(false),
});

export const olmo2 = decoder((json: unknown): Olmo2Config => {
  const raw = parseDecoder(json, schema);
  const bias = raw.attention_bias;
  const config = decoderConfig(raw, {
    biases: { qkv: bias, output: bias, mlp: false },
    norms: "after",
    queryKeyNorms: "heads",
  });
  return { modelType: raw.model_type, ...config };
});
