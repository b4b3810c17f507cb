/** What a model needs of a GPU, for `lfp doctor --model`. */
import { sizeOf } from "../engine/graph.ts";
import { adapterBaseFolder, isAdapterFolder } from "../models/adapter.ts";
import type { ModelConfig } from "../models/architectures.ts";
import { readConfig } from "../models/config.ts";
import type { ResolveOptions } from "../models/hub.ts";
import { parametersOf } from "../models/model.ts";
import { resolveReference } from "../models/open.ts";
import { storedBytesOf } from "../pipeline/experiment/memory.ts";

export interface ModelSize {
  readonly config: ModelConfig;
  /** Bytes of a weight in the model's files. */
  readonly storedBytes: 2 | 4;
}

/** Reads a model's config.json; of adapters that of their model. Throws what `resolveReference` and `readConfig` throw. */
export async function readModelSize(
  reference: string,
  { env, signal }: Required<Pick<ResolveOptions, "env" | "signal">>,
): Promise<ModelSize> {
  const options = { download: false, env, signal };
  const { folder } = await resolveReference(reference, options);
  const base = (await isAdapterFolder(folder)) ? await adapterBaseFolder(folder, options) : folder;
  const { config, json } = await readConfig(base);
  return { config, storedBytes: storedBytesOf(json) };
}

/** What a model needs of a GPU, activations aside. A MB is 2^20 bytes. */
export interface GpuNeeds {
  readonly name: string;
  readonly parameters: number;
  /** Its weights as they are held to be read, or to train adapters beside. */
  readonly weightsMB: number;
  /** Weights of policy and reference, gradients and moments, where all weights are trained. */
  readonly trainingMB: number;
  readonly largestTensor: {
    readonly name: string;
    readonly shape: readonly number[];
    /** As it is held to be read, and in F32 to be trained. */
    readonly heldMB: number;
    readonly trainedMB: number;
  };
}

/** Size in F32 from which a GPU holds weights as their files have them (`FixedMemory.fromBytes`). */
const heldAsStoredFrom = 2 ** 30;

export function gpuNeeds(name: string, { config, storedBytes }: ModelSize): GpuNeeds {
  const tensors = parametersOf(config).map((parameter) => ({ ...parameter, size: sizeOf(parameter.shape) }));
  const parameters = tensors.reduce((sum, { size }) => sum + size, 0);
  const heldBytes = 4 * parameters >= heldAsStoredFrom ? storedBytes : 4;
  const [largest] = tensors.toSorted((a, b) => b.size - a.size);
  const { name: tensor = "", shape = [], size = 0 } = largest ?? {};
  return {
    name,
    parameters,
    weightsMB: megabytes(heldBytes * parameters),
    trainingMB: megabytes((heldBytes + 4 * 4) * parameters),
    largestTensor: { name: tensor, shape, heldMB: megabytes(heldBytes * size), trainedMB: megabytes(4 * size) },
  };
}

/** `google/gemma-2b-it: 2,506,172,416 weights; a GPU needs 4.7 GB to read it, ...` */
export function needsText({ name, parameters, weightsMB, trainingMB, largestTensor }: GpuNeeds): string {
  const { name: tensor, shape, heldMB, trainedMB } = largestTensor;
  return (
    `${name}: ${parameters.toLocaleString("en-GB")} weights; a GPU needs ${gigabytes(weightsMB)} to read it or to train adapters, ` +
    `${gigabytes(trainingMB)} to train all weights, activations besides, and one buffer for '${tensor}' [${shape.join(", ")}], ` +
    `${gigabytes(heldMB)}${heldMB === trainedMB ? "" : `, or ${gigabytes(trainedMB)} to train it`}`
  );
}

/** What a GPU lacks for a model; sizes that are not known count as large enough. */
export function needProblems(
  { name, weightsMB, trainingMB, largestTensor }: GpuNeeds,
  {
    memoryMB = Number.POSITIVE_INFINITY,
    bufferMB = Number.POSITIVE_INFINITY,
  }: Partial<Record<"memoryMB" | "bufferMB", number>>,
): { readonly what: string; readonly remedy: string }[] {
  const { name: tensor, heldMB, trainedMB } = largestTensor;
  const lacks = (what: string, remedy: string) => [{ what: `the GPU is too small for ${name}: ${what}`, remedy }];
  const adapters = "Train adapters (lora in its tuning's settings), or compute on the CPU";
  if (heldMB > bufferMB)
    return lacks(
      `its tensor '${tensor}' takes ${gigabytes(heldMB)}, and a buffer of this GPU holds ${gigabytes(bufferMB)} at most`,
      "Compute on the CPU, or take a model with a smaller vocabulary",
    );
  if (weightsMB > memoryMB)
    return lacks(
      `its weights take ${gigabytes(weightsMB)}, and the GPU has ${gigabytes(memoryMB)}`,
      "Compute on the CPU, or take a smaller model",
    );
  if (trainedMB > bufferMB)
    return lacks(
      `to train its tensor '${tensor}' takes ${gigabytes(trainedMB)}, and a buffer of this GPU holds ${gigabytes(bufferMB)} at most`,
      adapters,
    );
  if (trainingMB > memoryMB)
    return lacks(
      `to train all weights takes ${gigabytes(trainingMB)}, and the GPU has ${gigabytes(memoryMB)}`,
      adapters,
    );
  return [];
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function gigabytes(mb: number): string {
  return mb < 100 ? `${mb} MB` : `${(mb / 1024).toFixed(mb < 1024 ? 2 : 1)} GB`;
}
