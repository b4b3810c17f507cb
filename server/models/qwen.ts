/**
 * Qwen 2 and 2.5, https://arxiv.org/abs/2412.15115, whose queries, keys and values have biases, and Qwen 3,
 * https://arxiv.org/abs/2505.09388, whose heads have norms instead. Late layers may see a window.
 */
import { z } from "zod";
import { count } from "./config-fields.ts";
import { decoder } from "./decoder.ts";
import { type DecoderConfig, decoderConfig, decoderFields, parseDecoder } from "./decoder-config.ts";
import { ConfigError } from "./errors.ts";

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
  layer_types: z.array(z.enum(["full_attention", "sliding_attention"])).nullish(),
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
    headNorms: false,
    ...windowsOf(raw),
    embeddingScale: 1,
  });
  return { modelType: raw.model_type, ...config };
});

export const qwen3 = decoder((json: unknown): Qwen3Config => {
  const raw = parseDecoder(json, qwen3Schema);
  const config = decoderConfig(raw, {
    biases: { qkv: raw.attention_bias, output: raw.attention_bias, mlp: false },
    headNorms: true,
    ...windowsOf(raw),
    embeddingScale: 1,
  });
  return { modelType: raw.model_type, ...config };
});

/** `layer_types` say which layers see a window; without them those from `max_window_layers` on do, if any. */
function windowsOf(raw: WindowFields): Pick<DecoderConfig, "isLocal" | "localWindow"> {
  const { num_hidden_layers: layers, layer_types: types } = raw;
  const window = raw.use_sliding_window ? (raw.sliding_window ?? undefined) : undefined;
  if (types && types.length !== layers)
    throw new ConfigError(`layer_types has ${types.length} layers, but num_hidden_layers is ${layers}`);
  const isLocal = Array.from({ length: layers }, (_, layer) =>
    types ? types[layer] === "sliding_attention" : window !== undefined && layer >= raw.max_window_layers,
  );
  const hasLocal = isLocal.includes(true);
  if (hasLocal && window === undefined)
    throw new ConfigError(
      "layer_types has a sliding_attention, but there is no window: expected use_sliding_window true and a sliding_window",
    );
  return { isLocal, localWindow: hasLocal ? window : undefined };
}
