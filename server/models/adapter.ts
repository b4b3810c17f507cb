/**
 * Adapters of others: a PEFT folder (adapter_config.json, adapter_model.safetensors) reads as its base model with the
 * adapters merged: W + scale B A, with A [rank, in] and B [out, rank].
 */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { messageOf } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { describeShape } from "../engine/errors.ts";
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  type AdapterConfig,
  AdapterError,
  peftPrefix,
  readAdapterConfig,
} from "./adapter-config.ts";
import type { ParameterSpec } from "./architecture.ts";
import { type ResolveOptions, resolveModel } from "./hub.ts";
import { outFirst } from "./inputs-first.ts";
import { addScaledProduct, type ProductShape, productNorm } from "./lora.loops.ts";
import { isPickle, openSafetensors, PickleRefusedError, type TensorSource } from "./safetensors.ts";

/** What adapters do to their model. */
export interface AdapterFacts {
  /** Number of weights that they change. */
  readonly weights: number;
  /** L2 norm of the change of all weights together. */
  readonly deltaNorm: number;
}

/** The adapters of a folder, in memory. */
export interface Adapter {
  readonly facts: AdapterFacts;
  /** What it changes, by parameter. */
  readonly changes: ReadonlyMap<string, AdapterChange>;
  /** A parameter's values with its change, given those of the base model, which may be changed in place. */
  merged(parameter: string, values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
}

/** The change of one parameter: scale B A is added to a matrix, or values replace it (PEFT's modules_to_save). */
export type AdapterChange =
  | {
      readonly kind: "product";
      /** [rank, in] */
      readonly a: Float32Array<ArrayBuffer>;
      /** [out, rank] */
      readonly b: Float32Array<ArrayBuffer>;
      readonly shape: ProductShape;
    }
  | { readonly kind: "whole"; readonly values: Float32Array<ArrayBuffer> };

/** A parameter, and the names that files may give it. */
export interface SpelledParameter {
  readonly spec: ParameterSpec;
  readonly spellings: readonly string[];
}

/** Whether a folder holds adapters without the model that they change. */
export async function isAdapterFolder(folder: string): Promise<boolean> {
  return (await exists(join(folder, ADAPTER_CONFIG_FILE))) && !(await exists(join(folder, "config.json")));
}

/**
 * The folder of the model that adapters change, downloaded where the options allow it. Throws `AdapterError`, also
 * where that model is not on this machine.
 */
export async function adapterBaseFolder(
  folder: string,
  options: ResolveOptions = { download: false },
): Promise<string> {
  const { base, revision } = await readAdapterConfig(folder);
  const beside = /^\.{1,2}([\\/]|$)/.test(base) ? resolve(folder, base) : base;
  const isFolder = (await stat(beside).catch(() => undefined))?.isDirectory() === true;
  const reference = isFolder ? beside : revision === undefined ? base : `${base}@${revision}`;
  const found = await resolveModel(reference, options).catch((cause: unknown) => {
    throw new AdapterError(
      folder,
      `of ${visibleLine(base, 200)}, which was not found: ${messageOf(cause)} If it is elsewhere, write its folder as base_model_name_or_path`,
      { cause },
    );
  });
  if (await isAdapterFolder(found.folder))
    throw new AdapterError(
      folder,
      `of ${found.folder}, which holds adapters itself: merge those into their model first`,
    );
  return found.folder;
}

/** The folder of a model's tokenizer: its own, or for adapters that were saved without one, that of their model. */
export async function tokenizerFolderOf(folder: string): Promise<string> {
  if (await exists(join(folder, "tokenizer.json"))) return folder;
  return (await isAdapterFolder(folder)) ? await adapterBaseFolder(folder) : folder;
}

/**
 * Reads the adapters of a folder for a model with these parameters, whose values `base` reads; `inputsFirst` as in its
 * architecture. Throws `AdapterError` for
 * tensors that do not fit and for adapters that change nothing, and what `openSafetensors` throws.
 */
export async function openAdapter(
  folder: string,
  base: Pick<TensorSource, "readFloat32">,
  parameters: readonly SpelledParameter[],
  inputsFirst?: RegExp,
): Promise<Adapter> {
  const config = await readAdapterConfig(folder);
  await using source = outFirst(await openTensors(folder), inputsFirst);
  const changes = await readChanges(folder, source, config, parameters);
  let squares = 0;
  for (const [parameter, change] of changes) squares += (await normOf(parameter, change, base)) ** 2;
  if (squares === 0)
    throw new AdapterError(
      folder,
      "that change nothing: every product B A is zero, as before any training. Give the folder that was saved after training",
    );
  if (!Number.isFinite(squares))
    throw new AdapterError(
      folder,
      "whose change of the weights is not finite: lora_alpha or their tensors are too large to compute with. Use an earlier checkpoint",
    );
  return {
    facts: { weights: changes.size, deltaNorm: Math.sqrt(squares) },
    changes,
    merged: (parameter, values) => applied(changes.get(parameter), values),
  };
}

async function openTensors(folder: string): Promise<TensorSource> {
  const path = join(folder, ADAPTER_WEIGHTS_FILE);
  if (!(await exists(path))) {
    const pickles = (await readdir(folder)).filter(isPickle);
    if (pickles.length > 0) throw new PickleRefusedError(folder, pickles);
  }
  return await openSafetensors(path);
}

async function readChanges(
  folder: string,
  source: TensorSource,
  config: AdapterConfig,
  parameters: readonly SpelledParameter[],
): Promise<ReadonlyMap<string, AdapterChange>> {
  const unread = new Set(source.tensors.keys());
  const read = async (name: string, shape: readonly number[]): Promise<Float32Array<ArrayBuffer>> => {
    const got = source.tensors.get(name)?.shape ?? [];
    if (describeShape(got) !== describeShape(shape))
      throw new AdapterError(
        folder,
        `whose tensor '${name}' is ${describeShape(got)}; its model asks for ${describeShape(shape)}`,
      );
    unread.delete(name);
    return await source.readFloat32(name, { requireFinite: true });
  };
  const changes = new Map<string, AdapterChange>();
  for (const { spec, spellings } of parameters) {
    for (const spelling of spellings) {
      const module = spelling.replace(/\.weight$/, "");
      const [nameA, nameB] = [`${peftPrefix}${module}.lora_A.weight`, `${peftPrefix}${module}.lora_B.weight`];
      const [rank = 0] = source.tensors.get(nameA)?.shape ?? [];
      if (spec.role === "linear" && source.tensors.has(nameA) && source.tensors.has(nameB)) {
        const [out = 0, inputs = 0] = spec.shape;
        const [a, b] = [await read(nameA, [rank, inputs]), await read(nameB, [out, rank])];
        if (!config.ranks.has(rank)) throw new AdapterError(folder, otherRank(nameA, rank, config.ranks));
        const shape = { out, inputs, rank, scale: config.scaleOf(module, rank) };
        changes.set(spec.name, { kind: "product", a, b, shape });
      }
      const whole = `${peftPrefix}${spelling}`;
      if (source.tensors.has(whole)) changes.set(spec.name, { kind: "whole", values: await read(whole, spec.shape) });
    }
  }
  const [stranger] = unread;
  if (stranger !== undefined) throw new AdapterError(folder, leftOut(stranger, source));
  return changes;
}

function otherRank(name: string, rank: number, ranks: ReadonlySet<number>): string {
  return `whose tensor '${visibleLine(name, 200)}' is of rank ${rank}; the file says ${[...ranks].join(", ")} (r, rank_pattern). The two are not of one training: copy both again`;
}

/** Why a tensor would not be read. */
function leftOut(name: string, { tensors }: TensorSource): string {
  const shown = `whose tensor '${visibleLine(name, 200)}'`;
  const other = name.replace(/lora_[AB](?=\.weight$)/, (half) => (half === "lora_A" ? "lora_B" : "lora_A"));
  return tensors.has(other) || other === name
    ? `${shown} fits no Linear weight of its model; it would be left out silently, so nothing was loaded`
    : `${shown} has no '${visibleLine(other, 200)}' beside it, without which it is half an adapter: copy the file again`;
}

/** L2 norm of a parameter's change. */
async function normOf(
  parameter: string,
  change: AdapterChange,
  base: Pick<TensorSource, "readFloat32">,
): Promise<number> {
  if (change.kind === "product") return productNorm(change.b, change.a, change.shape);
  const before = await base.readFloat32(parameter);
  return Math.sqrt(change.values.reduce((sum, value, at) => sum + (value - (before[at] ?? 0)) ** 2, 0));
}

/** A parameter's values with its change, which may be made in place. */
function applied(change: AdapterChange | undefined, values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  if (change === undefined) return values;
  if (change.kind === "whole") return change.values.slice();
  addScaledProduct(values, change.b, change.a, change.shape);
  return values;
}
