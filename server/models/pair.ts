/** Two checkpoints that can be compared: a tuned model and the one that it was tuned from. */

import { join } from "node:path";
import { LfpError } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import type { Device } from "../engine/device.ts";
import type { ModelConfig } from "./architectures.ts";
import { type LoadedModel, loadModel } from "./checkpoint.ts";
import { readConfig } from "./config.ts";
import type { ResolvedModel, ResolveOptions } from "./hub.ts";
import { type ModelPair, sharedVocabulary } from "./log-ratio.ts";
import { resolveReference } from "./open.ts";
import { type CheckpointParameters, openParameters } from "./parameters.ts";
import { assertMatchesVocabulary, loadTokenizer, loadTokenizers, type Tokenizer } from "./tokenizer.ts";

/** Two checkpoints that cannot be compared, and why. */
export class PairMismatchError extends LfpError {
  readonly code = "input";
}

/** As references: `starter`, a folder, or a hub id. */
export interface PairReferences {
  readonly tuned: string;
  readonly base: string;
}

/** A pair on a device, with the tokenizer that reads texts for both. */
export interface OpenedPair {
  readonly pair: { readonly [K in keyof ModelPair]: LoadedModel };
  readonly tokenizer: Tokenizer;
  /** Ids from here on stand for tokens that only one of the two (tokenizer or model) has. */
  readonly sharedTokens: number;
  readonly resolved: { readonly tuned: ResolvedModel; readonly base: ResolvedModel };
}

/**
 * Opens two checkpoints of one architecture, shape and tokenizer on a device. Vocabularies may be of different lengths
 * (added tokens, padding). The tokenizer is the tuned model's own, or the base model's where the tuned folder has none.
 * Downloads nothing unless the options allow it. `base` is the base model if the device has it already with the prefix
 * `base.`, from another pair; it is not loaded again then. Throws `PairMismatchError` for checkpoints that cannot be
 * compared (equal weights, say), and what `openModel` throws.
 */
export async function openPair(
  device: Device,
  references: PairReferences,
  options: ResolveOptions = { download: false },
  base?: LoadedModel,
): Promise<OpenedPair> {
  // One after the other, because each may download.
  const tuned = await resolveReference(references.tuned, options);
  const resolvedBase = await resolveReference(references.base, options);
  const folders = { tuned: tuned.folder, base: resolvedBase.folder };
  // Quick reads first, so that a wrong folder fails at once.
  const [{ config }, { config: baseConfig }] = [await readConfig(folders.tuned), await readConfig(folders.base)];
  refuseOtherShapes(folders, config, baseConfig);
  const { tokenizer, sharedTokens } = await tokenizerOf(folders);
  assertMatchesVocabulary(tokenizer, Math.max(config.vocabSize, baseConfig.vocabSize));
  options.signal?.throwIfAborted();
  await refuseSameWeights(folders);
  const pair = {
    tuned: await loadModel(device, folders.tuned, { prefix: "tuned." }),
    base: base ?? (await loadModel(device, folders.base, { prefix: "base." })),
  };
  return {
    pair,
    tokenizer,
    sharedTokens: Math.min(sharedTokens, sharedVocabulary(pair)),
    resolved: { tuned, base: resolvedBase },
  };
}

function refuseOtherShapes({ tuned, base }: PairReferences, config: ModelConfig, baseConfig: ModelConfig): void {
  if (config.modelType !== baseConfig.modelType)
    throw new PairMismatchError(
      `${tuned} is a ${config.modelType} model and ${base} a ${baseConfig.modelType} model; give a checkpoint and the one that it was tuned from`,
    );
  const sizes = ["layers", "width", "heads", "kvHeads", "headDim"] as const;
  const differing = sizes.filter((size) => config[size] !== baseConfig[size]);
  if (differing.length === 0) return;
  const sizesOf = (own: ModelConfig): string => differing.map((size) => `${size} ${own[size]}`).join(", ");
  throw new PairMismatchError(
    `${tuned} has ${sizesOf(config)}, but ${base} has ${sizesOf(baseConfig)}; give a checkpoint and the one that it was tuned from`,
  );
}

async function tokenizerOf({ tuned, base }: PairReferences): Promise<Pick<OpenedPair, "tokenizer" | "sharedTokens">> {
  const [ownTuned, ownBase] = [await hasTokenizer(tuned), await hasTokenizer(base)];
  if (!ownTuned || !ownBase) {
    const tokenizer = await loadTokenizer(ownTuned ? tuned : base);
    return { tokenizer, sharedTokens: tokenizer.vocabSize };
  }
  const { tokenizer, difference, sharedTokens } = await loadTokenizers(tuned, base);
  if (difference !== undefined)
    throw new PairMismatchError(
      `the tokenizers of ${tuned} and ${base} are not the same: they ${difference}. Only probabilities of the same tokens can be compared; ` +
        "give a checkpoint and the one that it was tuned from",
    );
  return { tokenizer, sharedTokens };
}

/** Throws `PairMismatchError` if all weights are equal. Small tensors first: models that differ stop the read early. */
async function refuseSameWeights({ tuned, base }: PairReferences): Promise<void> {
  await using one = await openParameters(tuned);
  await using other = await openParameters(base);
  const names = [...one.tensors.keys()].filter((name) => other.tensors.has(name));
  const sizeOf = (name: string): number => {
    const { byteStart = 0, byteEnd = 0 } = one.tensors.get(name) ?? {};
    return byteEnd - byteStart;
  };
  for (const name of names.sort((a, b) => sizeOf(a) - sizeOf(b))) if (!(await sameValues(one, other, name))) return;
  throw new PairMismatchError(
    `${tuned} and ${base} hold the same weights, so nothing tells them apart; give the tuned checkpoint and the one that it was tuned from`,
  );
}

/** Compares the common prefix: a longer vocabulary only appends rows. */
async function sameValues(one: CheckpointParameters, other: CheckpointParameters, name: string): Promise<boolean> {
  const [a, b] = [await one.readFloat32(name), await other.readFloat32(name)];
  const shared = Math.min(a.length, b.length);
  return Buffer.compare(bytesOf(a, shared), bytesOf(b, shared)) === 0;
}

function bytesOf(values: Float32Array, count: number): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, 4 * count);
}

function hasTokenizer(folder: string): Promise<boolean> {
  return exists(join(folder, "tokenizer.json"));
}
