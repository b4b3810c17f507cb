/** The run's device and model folders, as stages open them. */

import type { Device } from "../../engine/device.ts";
import { type LoadedModel, loadModel } from "../../models/checkpoint.ts";
import { assertMatchesVocabulary, loadTokenizer, type Tokenizer } from "../../models/tokenizer.ts";

/** Gives the run's device to some work and frees it afterwards, however the work ends. */
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

/** A model and its tokenizer, which must belong together. A tuned checkpoint may lie without one: then it is the base model's. */
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
