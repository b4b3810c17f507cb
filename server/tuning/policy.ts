/** What a tuner trains: how it is opened and saved. */
import { join } from "node:path";
import type { Random } from "../common/random.ts";
import { saveAdapters } from "../models/adapter-save.ts";
import { type LoadedModel, saveModel } from "../models/checkpoint.ts";
import { addLora, linearTargets } from "../models/lora.ts";
import type { TensorToWrite } from "../models/safetensors.ts";
import type { LoraConfig } from "./lora-config.ts";
import type { TunerInput } from "./tuner.ts";

/**
 * The model that a tuner trains: a copy of the reference with weights of its own, or the reference's weights with new
 * adapters. Throws `LoraOptionsError` for targets that the model does not have, and what loading throws.
 */
export async function openPolicy(
  { device, reference, loadPolicy }: Pick<TunerInput, "device" | "reference" | "loadPolicy">,
  lora: LoraConfig,
  random: Random,
): Promise<LoadedModel> {
  if (lora === null) return await loadPolicy();
  return await addLora(device, reference, { ...lora, targets: linearTargets(reference, lora.targets) }, random);
}

/** Folder beside a tuned checkpoint's files that holds its adapters, as PEFT reads them. */
export const adapterFolder = "adapter";

/**
 * Saves a policy as a Hugging Face checkpoint, with its adapters merged, and where there are adapters, these alone in
 * `adapter/`.
 */
export async function savePolicy(
  policy: LoadedModel,
  folder: string,
  extra: readonly TensorToWrite[] = [],
): Promise<void> {
  await saveModel(policy, folder, { extra });
  if (policy.adapters !== undefined) await saveAdapters(policy, policy.adapters, join(folder, adapterFolder));
}
