/** Which files of a folder belong to a model. */
import { ADAPTER_CONFIG_FILE } from "./adapter-config.ts";
import { INDEX_FILE } from "./safetensors.ts";

const tokenizerFiles =
  /^(tokenizer.*\.json|special_tokens_map\.json|vocab\.json|merges\.txt|generation_config\.json|chat_template\.jinja)$/;

/** Whether saving a model elsewhere copies this file: the tokenizer's files, its chat template and generation_config.json. */
export function isTokenizerFile(name: string): boolean {
  return tokenizerFiles.test(name);
}

/**
 * Whether a model, or one saved from it, depends on a file, by its path in the model's folder: config.json, the tokenizer's
 * files, safetensors and their index, and adapter_config.json, all at its top. Cards, pickles and folders below are not read.
 */
export function isModelFile(path: string): boolean {
  const named = ["config.json", INDEX_FILE, ADAPTER_CONFIG_FILE];
  return named.includes(path) || isTokenizerFile(path) || /^[^/]+\.safetensors$/.test(path);
}
