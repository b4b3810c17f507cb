/** The table of architectures, by `model_type` of config.json. */
import type { Architecture } from "./architecture.ts";
import { gemma, gemma2, gemma3 } from "./gemma.ts";
import { gptNeo } from "./gpt-neo.ts";
import { gptNeoX } from "./gpt-neox.ts";
import { gpt2 } from "./gpt2.ts";
import { llama, mistral } from "./llama.ts";
import { olmo2 } from "./olmo2.ts";
import { qwen2, qwen3 } from "./qwen.ts";

const table = {
  gpt_neox: gptNeoX,
  gpt_neo: gptNeo,
  gpt2,
  gemma,
  gemma2,
  gemma3_text: gemma3,
  llama,
  mistral,
  olmo2,
  qwen2,
  qwen3,
};

export type ModelType = keyof typeof table;
type ConfigOf<K extends ModelType> = (typeof table)[K] extends Architecture<infer C> ? C : never;
/** A model's config.json, typed and checked; `modelType` names the architecture. */
export type ModelConfig = { [K in ModelType]: ConfigOf<K> & { readonly modelType: K } }[ModelType];

export const architectures: { readonly [K in ModelType]: Architecture<ConfigOf<K>> } = table;

/** Pairs a config with the architecture of its type. */
export function withArchitecture<R>(
  config: ModelConfig,
  use: <K extends ModelType>(architecture: Architecture<ConfigOf<K>>, config: ConfigOf<K>) => R,
): R {
  return paired(config.modelType, config, use);
}

function paired<K extends ModelType, R>(
  modelType: K,
  config: ConfigOf<K>,
  use: (architecture: Architecture<ConfigOf<K>>, config: ConfigOf<K>) => R,
): R {
  return use(architectures[modelType], config);
}
