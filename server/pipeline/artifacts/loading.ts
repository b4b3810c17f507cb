/** The run's device and model folders, as stages open them. */

import { invariant } from "../../common/errors.ts";
import { fixedFromBytes } from "../../engine/cpu/limits.ts";
import type { Device } from "../../engine/device.ts";
import { type LoadedModel, loadModel } from "../../models/checkpoint.ts";
import { readConfig } from "../../models/config.ts";
import { wideBytesOf } from "../../models/fixed-model.ts";
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
 * Runs `work` on the run's device, as up to `most` of them that compute side by side, and closes them afterwards,
 * however the work ends.
 */
export async function withDevices<R>(
  { openDevices }: { readonly openDevices: (most: number) => Promise<readonly Device[]> },
  most: number,
  work: (devices: readonly [Device, ...Device[]]) => Promise<R>,
): Promise<R> {
  const [first, ...others] = await openDevices(most);
  invariant(first !== undefined, "no device was opened");
  try {
    return await work([first, ...others]);
  } finally {
    await Promise.all([first, ...others].map((device) => device.close()));
  }
}

/**
 * Whether a folder's model is so large that its weights are not ordinary state. Its products keep all threads busy, and
 * every device that computes with it widens weights for itself, so that several devices would only take memory.
 */
export async function isLarge(folder: string): Promise<boolean> {
  return wideBytesOf((await readConfig(folder)).config) >= fixedFromBytes;
}

/** On how many devices base and tuned model may both be held, by the size of a folder's model. */
export async function copiesInMemory(folder: string): Promise<number> {
  const pair = 2 * wideBytesOf((await readConfig(folder)).config);
  return Math.max(1, Math.min(mostCopies, Math.floor(copiedBytes / pair)));
}

/** Most memory that copies of the models take, and most copies: the thread that feeds them is one. */
const copiedBytes = 2 ** 29;
const mostCopies = 4;

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
