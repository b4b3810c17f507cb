/** What a tuner trains: how it is opened and saved. */
import { join } from "node:path";
import { LfpError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import { saveAdapters } from "../models/adapter-save.ts";
import { type LoadedModel, saveModel } from "../models/checkpoint.ts";
import { addLora, linearTargets } from "../models/lora.ts";
import { type TensorToWrite, writeSafetensors } from "../models/safetensors.ts";
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
  if (lora === null) return await trainable(await loadPolicy());
  if (reference.isFixed === true && reference.adapted !== undefined) throw new AdaptedReferenceError(reference.folder);
  return await addLora(device, reference, { ...lora, targets: linearTargets(reference, lora.targets) }, random);
}

/** The policy, unless the device holds its weights fixed: then throws `FixedWeightsError`. */
async function trainable(policy: LoadedModel): Promise<LoadedModel> {
  if (policy.isFixed !== true) return policy;
  await policy.store.dispose();
  throw new FixedWeightsError();
}

/** Folder beside a tuned checkpoint's files that holds its adapters, as PEFT reads them. */
export const adapterFolder = "adapter";

/** File of what was trained beside a large model's adapters: a value head. */
const extraFile = "extra.safetensors";

/**
 * Saves a policy as a Hugging Face checkpoint, with its adapters merged, and where there are adapters, these alone in
 * `adapter/`. Of a large model it saves only the adapters, in the folder itself, and `extra` beside them.
 */
export async function savePolicy(
  policy: LoadedModel,
  folder: string,
  extra: readonly TensorToWrite[] = [],
): Promise<void> {
  if (policy.isFixed === true && policy.adapters !== undefined) {
    await saveAdapters(policy, policy.adapters, folder);
    if (extra.length > 0) await writeSafetensors(join(folder, extraFile), extra);
    return;
  }
  await saveModel(policy, folder, { extra });
  if (policy.adapters !== undefined) await saveAdapters(policy, policy.adapters, join(folder, adapterFolder));
}

/** All weights of a model are to be trained that is too large for it. */
export class FixedWeightsError extends LfpError {
  readonly code = "resource";

  constructor() {
    super(
      "the model is too large for all of its weights to be trained on this device, where weights, gradients and moments would need four times the model's size in F32: " +
        'train adapters (in the tuning\'s settings "lora": {"rank": 16, "alpha": 32}), use a GPU, or take a smaller model',
    );
  }
}

/** New adapters are to be trained on a large model that has adapters already. */
export class AdaptedReferenceError extends LfpError {
  readonly code = "input";

  constructor(folder: string | undefined) {
    super(
      `${folder ?? "the model"} holds adapters of a large model, whose weights stay as they are: new adapters can be trained on that model itself, or on one into which these were merged (in Python with peft: merge_and_unload)`,
    );
  }
}
