/** Saves adapters as PEFT does: adapter_config.json and adapter_model.safetensors. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, peftPrefix } from "./adapter-config.ts";
import { type LoadedModel, readFloats } from "./checkpoint.ts";
import { hubReferenceOf } from "./hub.ts";
import { moduleOf } from "./lora.ts";
import { fileNamesOf, type ModelAdapters } from "./model.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors.ts";

/**
 * Saves a model's adapters as a PEFT folder. It names the model that they change by its hub id and commit if it is in
 * the hub's cache, otherwise by its folder.
 */
export async function saveAdapters(
  { folder: baseFolder, config: modelConfig }: Pick<LoadedModel, "folder" | "config">,
  { options, store, parameters }: ModelAdapters,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors: TensorToWrite[] = [];
  for (const { name, shape } of parameters) {
    const peftName = `${peftPrefix}${name.replace(/\.weight\.lora_([AB])$/, ".lora_$1.weight")}`;
    tensors.push({ name: peftName, dtype: "F32", shape, data: await readFloats(store, name) });
  }
  await writeSafetensors(join(folder, ADAPTER_WEIGHTS_FILE), tensors);
  const hub = baseFolder === undefined ? undefined : hubReferenceOf(baseFolder);
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: hub?.id ?? baseFolder ?? null,
    revision: hub?.commit ?? null,
    r: options.rank,
    lora_alpha: options.alpha,
    target_modules: options.targets.map(moduleOf),
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: fileNamesOf(modelConfig).inputsFirst !== undefined,
    use_rslora: false,
    use_dora: false,
    modules_to_save: null,
    init_lora_weights: true,
    inference_mode: true,
  };
  await writeFileAtomically(join(folder, ADAPTER_CONFIG_FILE), `${JSON.stringify(config, undefined, 2)}\n`);
}
