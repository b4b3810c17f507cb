/** Which files of a folder belong to a model. */
import { ADAPTER_CONFIG_FILE } from "./adapter-config.ts";
import { INDEX_FILE } from "./safetensors.ts";

/** The file of a model's own chat template. */
export const CHAT_TEMPLATE_FILE = "chat_template.jinja";
/** The folder of its further chat templates, each a file NAME.jinja, as transformers saves them. */
export const CHAT_TEMPLATE_FOLDER = "additional_chat_templates";

/** Whether a model's file, by its path in the model's folder, is a chat template. */
export function isChatTemplateFile(path: string): boolean {
  return path === CHAT_TEMPLATE_FILE || /^additional_chat_templates\/[^/]+\.jinja$/.test(path);
}

const tokenizerFiles = /^(tokenizer.*\.json|special_tokens_map\.json|vocab\.json|merges\.txt|generation_config\.json)$/;

/**
 * Whether saving a model elsewhere copies this file, by its path in the model's folder: the tokenizer's files, chat
 * templates and generation_config.json.
 */
export function isTokenizerFile(path: string): boolean {
  return tokenizerFiles.test(path) || isChatTemplateFile(path);
}

/**
 * Whether a model, or one saved from it, depends on a file, by its path in the model's folder: config.json, the tokenizer's
 * files, safetensors and their index, and adapter_config.json, all at its top, and chat templates. Cards, pickles and other
 * folders are not read.
 */
export function isModelFile(path: string): boolean {
  const named = ["config.json", INDEX_FILE, ADAPTER_CONFIG_FILE];
  return named.includes(path) || isTokenizerFile(path) || /^[^/]+\.safetensors$/.test(path);
}
