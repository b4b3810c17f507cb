/** The run's device and model folders, as stages open them. */

import type { Device } from "../../engine/device.ts";
import { type LoadedModel, loadModel } from "../../models/checkpoint.ts";
import { assertMatchesVocabulary, loadTokenizer, type Tokenizer } from "../../models/tokenizer.ts";

/** Runs `work` on the run's device and closes the device afterwards, however the work ends. */
export async function withDevice<R>(
  { openDevice }: { readonly openDevice: () => Promise<Device> },
  work: (device: Device) => Promise<R>,
): Promise<R> {
  const device = await openDevice();
  try {
    return await work(device);
  } finally {
    await device.close();
  }
}

/**
 * Loads a model and its tokenizer and checks that their vocabularies match. For a tuned checkpoint without a tokenizer,
 * `tokenizerFolder` is the base model's.
 */
export async function loadModelAndTokenizer(
  device: Device,
  folder: string,
  tokenizerFolder = folder,
): Promise<{ model: LoadedModel; tokenizer: Tokenizer }> {
  const tokenizer = await loadTokenizer(tokenizerFolder);
  const model = await loadModel(device, folder);
  assertMatchesVocabulary(tokenizer, model.config.vocabSize);
  return { model, tokenizer };
}
