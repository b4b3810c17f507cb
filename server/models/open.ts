import { starterFolder } from "../common/package-root.ts";
import type { Device } from "../engine/device.ts";
import { adapterBaseFolder, isAdapterFolder } from "./adapter.ts";
import { type LoadedModel, loadModel } from "./checkpoint.ts";
import { type ResolvedModel, type ResolveOptions, resolveModel } from "./hub.ts";
import { assertMatchesVocabulary, loadTokenizer, type Tokenizer } from "./tokenizer.ts";

/** A model on a device with the tokenizer that belongs to it. */
export interface OpenedModel {
  readonly model: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly resolved: ResolvedModel;
}

/** The bundled model; to open a folder of that name write `./starter`. */
export const starterReference = "starter";

/**
 * `resolveModel` that also accepts `starter`, and finds (or downloads) the model of adapters too. Throws what
 * `resolveModel` throws, and `AdapterError`.
 */
export async function resolveReference(reference: string, options: ResolveOptions): Promise<ResolvedModel> {
  if (reference === starterReference) return { folder: starterFolder(), source: "folder" };
  const resolved = await resolveModel(reference, options);
  if (await isAdapterFolder(resolved.folder)) await adapterBaseFolder(resolved.folder, options);
  return resolved;
}

/**
 * Opens the model that a reference names (`starter`, a folder, or a hub id `owner/name[@revision]`) and its tokenizer.
 * Downloads nothing unless the options allow it. Throws what `resolveModel`, `loadTokenizer` and `loadModel` throw, and
 * `VocabularyMismatchError` when tokenizer and model do not match.
 */
export async function openModel(
  device: Device,
  reference: string,
  options: ResolveOptions = { download: false },
): Promise<OpenedModel> {
  const resolved = await resolveReference(reference, options);
  // Before the weights, which take longest, so that a wrong folder fails at once.
  const tokenizer = await loadTokenizer(resolved.folder);
  const model = await loadModel(device, resolved.folder);
  assertMatchesVocabulary(tokenizer, model.config.vocabSize);
  return { model, tokenizer, resolved };
}
