/** adapter_config.json as PEFT writes it (https://huggingface.co/docs/peft), as far as lfp applies it. */

import { join } from "node:path";
import { z } from "zod";
import { LfpError, messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { readTextFile } from "../common/text-file.ts";
import { visibleLine } from "../common/untrusted-text.ts";

export const ADAPTER_CONFIG_FILE = "adapter_config.json";
export const ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors";

/** What PEFT puts before the names of a model's modules. */
export const peftPrefix = "base_model.model.";

/** An adapter folder that cannot be read, or asks for what lfp does not apply. */
export class AdapterError extends LfpError {
  readonly code = "input";

  constructor(folder: string, detail: string, options?: ErrorOptions) {
    super(`${folder} holds adapters (${ADAPTER_CONFIG_FILE}) ${detail}`, options);
  }
}

/** The part of adapter_config.json that decides what is computed. */
export interface AdapterConfig {
  /** The model that the adapters change: a hub id or a folder. */
  readonly base: string;
  readonly revision: string | undefined;
  /** What one module's B A is multiplied by. */
  scaleOf(module: string, rank: number): number;
  /** The ranks that the file names: `r`, and those of single modules. */
  readonly ranks: ReadonlySet<number>;
}

const schema = z.looseObject({
  peft_type: z.string(),
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
  r: z.int().positive(),
  lora_alpha: z.number().finite(),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
  use_rslora: z.boolean().nullish(),
  alpha_pattern: z.record(z.string(), z.number().finite()).nullish(),
  bias: z.string().nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});

/** Settings that change nothing of what a saved adapter computes, or whose effect its tensors show. */
const harmless = new Set([
  "auto_mapping",
  "peft_version",
  "task_type",
  "inference_mode",
  "target_modules",
  "exclude_modules",
  "lora_dropout",
  "fan_in_fan_out",
  "layers_to_transform",
  "layers_pattern",
  "modules_to_save",
  "eva_config",
  "corda_config",
  "loftq_config",
  "megatron_core",
  "qalora_group_size",
  "runtime_config",
  "ensure_weight_tying",
  "lora_ga_config",
]);

/** Ways of starting an adapter that leave the base model's weights as they are. */
const plainStarts: readonly unknown[] = [undefined, null, true, false, "gaussian", "eva", "orthogonal"];

/** Reads and checks adapter_config.json. Throws `AdapterError` that names what lfp does not apply. */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const config = await parsed(folder);
  const { peft_type: kind, base_model_name_or_path: base, bias, init_lora_weights: start } = config;
  if (kind !== "LORA")
    throw new AdapterError(folder, `of kind ${visibleLine(kind, 40)}; lfp applies LORA. ${mergeAdvice}`);
  if (!plainStarts.includes(start))
    throw new AdapterError(
      folder,
      `whose init_lora_weights is '${visibleLine(String(start), 40)}', which changes the base model's weights as well. ${mergeAdvice}`,
    );
  if (bias !== undefined && bias !== null && bias !== "none")
    throw new AdapterError(folder, `whose bias is '${visibleLine(bias, 40)}'; expected none. ${mergeAdvice}`);
  const unknown = Object.entries(config).find(([name, value]) => !isApplied(name) && !isOff(value));
  if (unknown !== undefined)
    throw new AdapterError(folder, `that set ${visibleLine(unknown[0], 60)}, which lfp does not apply. ${mergeAdvice}`);
  const pattern = Object.keys(config.alpha_pattern ?? {}).find((ending) => !/^[\w.]+$/.test(ending));
  if (pattern !== undefined)
    throw new AdapterError(
      folder,
      `whose alpha_pattern is by '${visibleLine(pattern, 60)}'; expected names of modules. ${mergeAdvice}`,
    );
  if (base === undefined || base === null || base === "")
    throw new AdapterError(
      folder,
      "that do not name their model: write its folder or hub id as base_model_name_or_path",
    );
  return {
    base,
    revision: config.revision ?? undefined,
    scaleOf: (module, rank) => scaleOf(config, module, rank),
    ranks: new Set([config.r, ...Object.values(config.rank_pattern ?? {})]),
  };
}

const mergeAdvice =
  "Merge them: load them in Python with peft, call model.merge_and_unload().save_pretrained(folder), and give that folder";

function isApplied(name: string): boolean {
  return Object.hasOwn(schema.shape, name) || harmless.has(name);
}

function isOff(value: unknown): boolean {
  return (
    value === null || value === false || value === "" || (typeof value === "object" && Object.keys(value).length === 0)
  );
}

async function parsed(folder: string): Promise<z.infer<typeof schema>> {
  const path = join(folder, ADAPTER_CONFIG_FILE);
  try {
    return schema.parse(parseJson(await readTextFile(path, "config")));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? schemaProblems(cause) : messageOf(cause);
    throw new AdapterError(folder, `that cannot be read: ${why}`, { cause });
  }
}

/** alpha over the rank, or over its root (rsLoRA); `alpha_pattern` is keyed by ends of module names. */
function scaleOf(config: z.infer<typeof schema>, module: string, rank: number): number {
  const own = Object.entries(config.alpha_pattern ?? {}).find(([ending]) => `.${module}`.endsWith(`.${ending}`));
  const alpha = own?.[1] ?? config.lora_alpha;
  return alpha / (config.use_rslora === true ? Math.sqrt(rank) : rank);
}
