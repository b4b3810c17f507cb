/** Shapes of the benchmarks' models, whose weights are random: only the shape affects speed. */

const gptNeoX = {
  model_type: "gpt_neox",
  rotary_pct: 0.25,
  use_parallel_residual: true,
  bos_token_id: 0,
  eos_token_id: 0,
} as const;

/** config.json by name; `tiny` is for tests. */
export const benchShapes = {
  "pythia-70m": {
    ...gptNeoX,
    vocab_size: 50304,
    hidden_size: 512,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    intermediate_size: 2048,
    max_position_embeddings: 2048,
  },
  "pythia-160m": {
    ...gptNeoX,
    vocab_size: 50304,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    max_position_embeddings: 2048,
  },
  "smollm2-135m": {
    model_type: "llama",
    vocab_size: 49152,
    hidden_size: 576,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    intermediate_size: 1536,
    hidden_act: "silu",
    rms_norm_eps: 1e-5,
    rope_theta: 100_000,
    max_position_embeddings: 8192,
    tie_word_embeddings: true,
    bos_token_id: 0,
    eos_token_id: 0,
  },
  "qwen3-0.6b": {
    model_type: "qwen3",
    vocab_size: 151_936,
    hidden_size: 1024,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    head_dim: 128,
    intermediate_size: 3072,
    hidden_act: "silu",
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    max_position_embeddings: 40_960,
    tie_word_embeddings: true,
    bos_token_id: 151_643,
    eos_token_id: 151_645,
  },
  starter: {
    ...gptNeoX,
    vocab_size: 4096,
    hidden_size: 128,
    num_hidden_layers: 6,
    num_attention_heads: 4,
    intermediate_size: 512,
    max_position_embeddings: 256,
  },
  tiny: {
    ...gptNeoX,
    vocab_size: 300,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 64,
    max_position_embeddings: 64,
  },
} as const;

export type BenchShape = keyof typeof benchShapes;
export const benchShapeNames = [
  "pythia-70m",
  "smollm2-135m",
  "qwen3-0.6b",
  "starter",
  "tiny",
] as const satisfies readonly BenchShape[];
