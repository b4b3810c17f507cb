/**
 * Qwen 2 and 2.5, https://arxiv.org/abs/2412.15115, whose queries, keys and values have biases, and Qwen 3,
 * https://arxiv.org/abs/2505.09388, whose heads have norms instead. Late layers may see a window.
 */
import { z } from "zod";
import { count } from "./config-fields.ts";
import { decoder } from "./decoder.ts";
import {
  type DecoderConfig,
  decoderConfig,
  decoderFields,
  layerTypes,
  layerWindows,
  parseDecoder,
} from "./decoder-config.ts";

export interface Qwen2Config extends DecoderConfig {
  readonly modelType: "qwen2";
}

export interface Qwen3Config extends DecoderConfig {
  readonly modelType: "qwen3";
}

const windowFields = {
  use_sliding_window: z.boolean().default(false),
  sliding_window: count.nullable().default(4096),
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: layerTypes,
};
type WindowFields = z.infer<z.ZodObject<typeof windowFields>> & { readonly num_hidden_layers: number };

const qwen2Schema = z.object({ ...decoderFields, ...windowFields, model_type: z.literal("qwen2") });

const qwen3Schema = z.object({
  ...decoderFields,
  ...windowFields,
  model_type: z.literal("qwen3"),
  /** transformers' own where the file has none. */
  head_dim: count.multipleOf(2).default(128),
  attention_bias: z.boolean().default(false),
});

export const qwen2 = decoder((json: unknown): Qwen2Config => {
  const raw = parseDecoder(json, qwen2Schema);
  const config = decoderConfig(raw, {
    biases: { qkv: true, output: false, mlp: false },
    ...windowsOf(raw),
  });
  return { modelType: raw.model_type, ...config };
});

export const qwen3 = decoder((json: unknown): Qwen3Config => {
  const raw = parseDecoder(json, qwen3Schema);
  const config = decoderConfig(raw, {
    biases: { qkv: raw.attention_bias, output: raw.attention_bias, mlp: false },
    queryKeyNorms: "head",
    ...windowsOf(raw),
  });
  return { modelType: raw.model_type, ...config };
});

/** Without `layer_types` the layers from `max_window_layers` on see the window, if there is one. */
function windowsOf(raw: WindowFields): Pick<DecoderConfig, "isLocal" | "localWindow"> {
  const window = raw.use_sliding_window ? (raw.sliding_window ?? undefined) : undefined;
  return layerWindows(raw, window, (layer) => window !== undefined && layer >= raw.max_window_layers);
}
