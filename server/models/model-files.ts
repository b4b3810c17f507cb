/** Which files of a folder belong to a model. */
import { join } from "node:path";
import { ADAPTER_CONFIG_FILE } from "./adapter-config.ts";
import { isFile } from "./hub/cache.ts";
import { INDEX_FILE, WEIGHTS_FILE } from "./safetensors.ts";

/** The file of a model's own chat template. */
export const CHAT_TEMPLATE_FILE = "chat_template.jinja";
/** The folder of its further chat templates, each a file NAME.jinja, as transformers saves them. */
export const CHAT_TEMPLATE_FOLDER = "additional_chat_templates";

/** Whether a model's file, by its path in the model's folder, is a chat template. */
export function isChatTemplateFile(path: string): boolean {
  return path === CHAT_TEMPLATE_FILE || /^additional_chat_templates\/[^/]+\.jinja$/.test(path);
}

/** Where repositories for @huggingface/transformers keep a model, and the folder of it and its weights. */
export const ONNX_FILE = "onnx/model.onnx";
export const ONNX_FOLDER = "onnx";

/** Whether a model's file, by its path in the model's folder, is its ONNX file or holds weights of it. */
export function isOnnxFile(path: string): boolean {
  return /^onnx\/model\.onnx(\.data|_data(_\d+)?)?$/.test(path);
}

/** Whether a folder has onnx/model.onnx. */
export async function hasOnnxFile(folder: string): Promise<boolean> {
  return await isFile(join(folder, ONNX_FILE));
}

/** Whether a folder has safetensors, or their index. */
export async function hasSafetensors(folder: string): Promise<boolean> {
  return (await isFile(join(folder, WEIGHTS_FILE))) || (await isFile(join(folder, INDEX_FILE)));
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

/** The same for a classifier, which may be stored as ONNX. */
export function isClassifierFile(path: string): boolean {
  return isModelFile(path) || isOnnxFile(path);
}
