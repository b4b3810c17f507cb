/** Maps a file's tensors to parameters, and refuses tensors that would be ignored silently. */
import { describeShape } from "../engine/errors.ts";
import { sameShape } from "../engine/graph.ts";
import type { ParameterSpec } from "./architecture.ts";
import type { ModelConfig } from "./architectures.ts";
import { CheckpointTensorError } from "./errors.ts";
import { fileNamesOf, headNameOf } from "./model.ts";
import type { TensorSource } from "./safetensors.ts";

/**
 * The tensor of each parameter, by the parameter's name. Every parameter must exist in its shape, and every tensor must
 * belong to a parameter or be ignorable. Like transformers, it reads a head under any of its names and a body without
 * its prefix. Throws `CheckpointTensorError`.
 */
export function namesIn(
  source: Pick<TensorSource, "path" | "tensors">,
  specs: readonly ParameterSpec[],
  config: ModelConfig,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { name, shape } of specs) {
    const held = spellings(name, config).find((spelling) => source.tensors.has(spelling));
    const info = held === undefined ? undefined : source.tensors.get(held);
    if (held === undefined || info === undefined)
      throw new CheckpointTensorError(
        `${source.path}: tensor '${name}' ${describeShape(shape)} is missing; config.json says ${config.modelType}, which needs it. The file holds ${someOf(source)}`,
      );
    if (!sameShape(info.shape, shape)) {
      throw new CheckpointTensorError(
        `${source.path}: tensor '${held}' is ${describeShape(info.shape)}, but config.json asks for ${describeShape(shape)}`,
      );
    }
    found.set(name, held);
  }
  checkNothingElse(source, new Set(found.values()), config);
  return found;
}

/**
 * Checks a head that the file stores although config.json ties it to the embedding. Some programs save the tied head
 * twice, which is fine. If the values differ, transformers 5 uses the head and transformers 4 the embedding, so the
 * load is refused. Throws `CheckpointTensorError`.
 */
export async function checkSpareHead(
  source: Pick<TensorSource, "path" | "tensors" | "readFloat32">,
  names: ReadonlyMap<string, string>,
  config: ModelConfig,
): Promise<void> {
  const { headNames } = fileNamesOf(config);
  const embedding = names.get(headNameOf(config)) ?? headNameOf(config);
  for (const head of headNames) {
    if (!config.tiedHead || !source.tensors.has(head)) continue;
    if (sameFloats(await source.readFloat32(head), await source.readFloat32(embedding))) continue;
    throw new CheckpointTensorError(
      `${source.path}: config.json says that the head is tied to the embedding, but tensor '${head}' has other values than '${embedding}'. ` +
        `Set tie_word_embeddings to false in config.json to use it, or remove the tensor`,
    );
  }
}

function checkNothingElse(
  source: Pick<TensorSource, "path" | "tensors">,
  used: ReadonlySet<string>,
  config: ModelConfig,
): void {
  const { ignorable, headNames } = fileNamesOf(config);
  for (const name of source.tensors.keys()) {
    // `checkSpareHead` compares the values of a spare head later.
    if (used.has(name) || ignorable.test(name) || (config.tiedHead && headNames.includes(name))) continue;
    throw new CheckpointTensorError(
      `${source.path}: tensor '${name}' belongs to no part of a ${config.modelType} model of this config.json; it would be left out silently, so nothing was loaded`,
    );
  }
}

/** The names under which files may hold a parameter, ours first. */
export function spellings(name: string, config: ModelConfig): readonly string[] {
  const { bodyPrefixes, headNames } = fileNamesOf(config);
  if (name === headNames[0]) return headNames;
  const [own] = bodyPrefixes;
  if (!name.startsWith(own)) return [name];
  return [...bodyPrefixes, ""].map((prefix) => prefix + name.slice(own.length));
}

function someOf({ tensors }: Pick<TensorSource, "tensors">): string {
  if (tensors.size === 0) return "none";
  const some = [...tensors.keys()].slice(0, 3).map((name) => `'${name}'`);
  return `${tensors.size}, such as ${some.join(", ")}: were they saved under other names, load the model in Python with transformers and save it again`;
}

function sameFloats(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}
