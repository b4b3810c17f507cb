/** Large models: weights as a device's fixed state, held once however many models have them; adapters apart from them. */
import { readdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { FixedEntry, FixedMemory, StateStore, StoredAs } from "../engine/device.ts";
import { sizeOf } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { adaptedWeights, type Product, suffixA, suffixB } from "./adapted-weights.ts";
import { AdapterError } from "./adapter-config.ts";
import type { ModelConfig } from "./architectures.ts";
import { headNameOf, type Model, modelOf, parametersOf } from "./model.ts";
import type { AdaptedParts, CheckpointParameters } from "./parameters.ts";

/** Size of a model's weights in F32, in bytes. */
export function wideBytesOf(config: ModelConfig): number {
  return 4 * parametersOf(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * Loads weights as fixed state: matrices as the file holds them, F16 and BF16 too. Files whose weights the device has
 * already, and that have not changed since, are not read again. Adapters stay adapters, which the model's graphs add.
 * Throws what reading throws, `AdapterError` for adapters of the head, and `DeviceError` if memory does not suffice.
 */
export async function loadFixed(fixed: FixedMemory, source: CheckpointParameters, prefix: string): Promise<Model> {
  const { config, parts } = source;
  const entries = parts === undefined ? [] : adapterEntries(parts, config, prefix);
  const held = await heldWeights(fixed, parts?.base ?? source);
  const store = await fixed.share(await held.store, {
    prefix: { from: "", to: prefix },
    entries,
    onDispose: () => held.release(),
  });
  const model = modelOf(config, store, prefix);
  return parts === undefined ? model : { ...model, weights: adaptedWeights(model.weights, productsOf(parts, prefix)) };
}

/** Weights of files on a device, under their own names. */
interface Held {
  readonly store: Promise<StateStore>;
  /** Frees them when as many users have released them as asked for them. */
  release(): Promise<void>;
  users: number;
}

const heldBy = new WeakMap<FixedMemory, Map<string, Held>>();

async function heldWeights(fixed: FixedMemory, source: CheckpointParameters): Promise<Held> {
  const key = await versionOf(source.path);
  const known = heldBy.get(fixed) ?? new Map<string, Held>();
  heldBy.set(fixed, known);
  const held = known.get(key) ?? newHeld(readWeights(fixed, source), () => known.delete(key));
  known.set(key, held);
  held.users += 1;
  // Weights that could not be read are no one's.
  await held.store.catch(() => known.delete(key));
  return held;
}

function newHeld(store: Promise<StateStore>, forget: () => void): Held {
  return {
    store,
    users: 0,
    async release() {
      this.users -= 1;
      if (this.users > 0) return;
      forget();
      await (await store).dispose();
    },
  };
}

/** Names the files of a checkpoint as they are now. */
async function versionOf(path: string): Promise<string> {
  const folder = (await stat(path)).isDirectory() ? path : dirname(path);
  const names = (await readdir(folder)).filter((name) => name.endsWith(".safetensors")).sort();
  const files = await Promise.all(names.map((name) => stat(join(folder, name), { bigint: true })));
  return [await realpath(path), ...files.map(({ size, mtimeNs }) => `${size} ${mtimeNs}`)].join(" ");
}

async function readWeights(fixed: FixedMemory, source: CheckpointParameters): Promise<StateStore> {
  const parameters = parametersOf(source.config);
  const sizes = parameters.map(({ name, shape }) => sizeOf(shape) * (storedAs(source, name) === "f32" ? 4 : 2));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  await fixed.admit(bytes, new Set(parameters.map(({ name }) => storedAs(source, name))));
  const entries: FixedEntry[] = [];
  for (const { name, shape } of parameters) {
    const values = storedAs(source, name) === "f32" ? await wideValues(source, name) : await source.readStored(name);
    entries.push({ name, shape, ...values });
  }
  return await fixed.create(entries);
}

/** Vectors are few and small: F32 saves their programs the widening. */
function storedAs({ tensors }: Pick<CheckpointParameters, "tensors">, name: string): StoredAs {
  const { dtype, shape = [] } = tensors.get(name) ?? {};
  if (shape.length < 2) return "f32";
  return dtype === "BF16" ? "bf16" : dtype === "F16" ? "f16" : "f32";
}

async function wideValues(source: CheckpointParameters, name: string): Promise<Pick<FixedEntry, "stored" | "values">> {
  return { stored: "f32", values: await source.readFloat32(name, { requireFinite: true }) };
}

function adapterEntries({ adapter, base }: AdaptedParts, config: ModelConfig, prefix: string): FixedEntry[] {
  return [...adapter.changes].flatMap(([name, change]): FixedEntry[] => {
    const entry = (suffix: string, shape: readonly number[], values: Float32Array<ArrayBuffer>): FixedEntry => {
      return { name: prefix + name + suffix, shape, stored: "f32", values, isWritable: true };
    };
    if (change.kind === "whole") return [entry("", base.tensors.get(name)?.shape ?? [], change.values)];
    if (name === headNameOf(config))
      throw new AdapterError(base.path, `of the head, '${name}', which a model as large as this one needs merged`);
    const { out, inputs, rank } = change.shape;
    return [entry(suffixA, [rank, inputs], change.a), entry(suffixB, [out, rank], change.b)];
  });
}

function productsOf({ adapter }: AdaptedParts, prefix: string): Map<string, Product> {
  return new Map(
    [...adapter.changes].flatMap(([name, change]): [string, Product][] => {
      if (change.kind === "whole") return [];
      const { out, inputs, rank, scale } = change.shape;
      const a = ops.state(prefix + name + suffixA, [rank, inputs]);
      return [[name, { a, b: ops.state(prefix + name + suffixB, [out, rank]), scale }]];
    }),
  );
}
