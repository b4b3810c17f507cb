import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../common/errors.ts";
import { parseJson as parseJsonText } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { LfsPointerError, readTextFile } from "../common/text-file.ts";
import { adapterBaseFolder, isAdapterFolder } from "./adapter.ts";
import { architectures, type ModelConfig, type ModelType } from "./architectures.ts";
import { ConfigError, UnknownArchitectureError } from "./errors.ts";

export const supportedModelTypes: readonly string[] = Object.keys(architectures);

/**
 * Reads `config.json` of a model folder; for a folder of adapters, that of their model. Throws `ConfigError`,
 * `AdapterError` or `UnknownArchitectureError`.
 */
export async function readConfig(
  folder: string,
): Promise<{ config: ModelConfig; json: Readonly<Record<string, unknown>> }> {
  const path = join((await isAdapterFolder(folder)) ? await adapterBaseFolder(folder) : folder, "config.json");
  let text: string;
  try {
    text = await readTextFile(path, "config");
  } catch (cause) {
    if (cause instanceof LfsPointerError) throw cause;
    throw new ConfigError(
      `${path} cannot be read (${messageOf(cause)}): a model folder holds config.json, model.safetensors and tokenizer.json`,
      { cause },
    );
  }
  const json = languageModelIn(parseJson(text, path), path);
  return { config: parseConfig(json, path), json };
}

/** Types a parsed config.json; `where` names it in errors. */
export function parseConfig(json: Readonly<Record<string, unknown>>, where: string): ModelConfig {
  const modelType = json["model_type"];
  if (typeof modelType !== "string")
    throw new ConfigError(
      `${where}: model_type is ${JSON.stringify(modelType)}; expected one of ${supportedModelTypes.join(", ")}`,
    );
  if (!isSupported(modelType)) throw new UnknownArchitectureError(modelType, supportedModelTypes);
  try {
    return architectures[modelType].parseConfig(json);
  } catch (error) {
    if (error instanceof z.ZodError) throw new ConfigError(`${where}: ${schemaProblems(error)}`, { cause: error });
    throw error instanceof ConfigError ? new ConfigError(`${where}: ${error.message}`) : error;
  }
}

/** Models that hold a language model beside other parts, and its `model_type`. */
const wholes: Readonly<Record<string, string>> = { gemma3: "gemma3_text" };
/** Members of the whole's config that hold for its language model too. */
const sharedMembers = ["bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings", "torch_dtype", "dtype"];

/** The config of the language model in a model that also reads images (its `text_config`), or the config as it is. */
function languageModelIn(json: Readonly<Record<string, unknown>>, path: string): Readonly<Record<string, unknown>> {
  const { model_type: whole, text_config: text } = json;
  const own = typeof whole === "string" && Object.hasOwn(wholes, whole) ? wholes[whole] : undefined;
  if (own === undefined) return json;
  const parsed = z.record(z.string(), z.unknown()).safeParse(text);
  const found = parsed.success ? (parsed.data["model_type"] ?? own) : undefined;
  if (!parsed.success || found !== own)
    throw new ConfigError(
      `${path}: model_type is ${JSON.stringify(whole)}, but text_config is ${parsed.success ? `of model_type ${JSON.stringify(found)}` : "no object"}; expected one of model_type ${own}`,
    );
  const shared = sharedMembers.flatMap((name) => (json[name] === undefined ? [] : [[name, json[name]]]));
  return { ...parsed.data, model_type: own, ...Object.fromEntries(shared) };
}

function parseJson(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    return z.record(z.string(), z.unknown()).parse(parseJsonText(text));
  } catch (cause) {
    throw new ConfigError(`${path} is not a JSON object: ${messageOf(cause)}`, { cause });
  }
}

function isSupported(modelType: string): modelType is ModelType {
  return Object.hasOwn(architectures, modelType);
}
