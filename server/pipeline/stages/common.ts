/** What stages share: devices, model folders, and files of one JSON value or of JSON lines. */

import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
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

export async function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  await writeFileAtomically(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
}

/** Throws `ZodError` when the file is not what an earlier stage writes. */
export async function readJson<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(parseJson(await readTextFile(join(folder, name), "stage output")));
}

export async function writeJsonLines(folder: string, name: string, values: readonly unknown[]): Promise<void> {
  await writeFileAtomically(join(folder, name), values.map((value) => `${JSON.stringify(value)}\n`).join(""));
}

export async function readJsonLines<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T[]> {
  const text = await readTextFile(join(folder, name), "stage output");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => schema.parse(parseJson(line)));
}

/** A text with the name of where it comes from, such as `reviews.jsonl/17`. */
export const sourceText = z.strictObject({ id: z.string(), text: z.string() });
export type SourceText = z.infer<typeof sourceText>;

/** Files of the `prepare` stage. */
export const tuningTexts = "tuning.jsonl";
export const heldOutTexts = "held-out.jsonl";
export const analysisTexts = "analysis.jsonl";
