/**
 * Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685): W + (alpha / rank) B A, with A [rank, in] and
 * B [out, rank].
 */
import type { Random } from "../common/random.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { adaptedWeights, type Product, suffixA, suffixB } from "./adapted-weights.ts";
import type { ParameterSpec } from "./architecture.ts";
import { readFloats } from "./checkpoint.ts";
import { CheckpointTensorError, LoraOptionsError } from "./errors.ts";
import { addScaledProduct } from "./lora.loops.ts";
import { headNameOf, type LoraOptions, type Model, type ModelAdapters } from "./model.ts";

/** A model with adapters: graphs built from its `weights` use them. */
export type AdaptedModel<M extends Model = Model> = M & { readonly adapters: ModelAdapters };

/**
 * The base model, sharing its weights, with new adapters that change nothing yet: A is random as in PEFT (uniform within
 * 1 / sqrt(in)), B zero. Throws `LoraOptionsError`, and `CheckpointTensorError` for a target that is no Linear weight.
 */
export async function addLora<M extends Model>(
  device: Device,
  base: M,
  options: LoraOptions,
  random: Random,
): Promise<AdaptedModel<M>> {
  checkOptions(options);
  const parameters = options.targets.flatMap((target) => adapterSpecs(base, target, options.rank));
  const entries = parameters.map(({ name, shape }) => {
    const own = random.fork(name);
    const bound = 1 / Math.sqrt(shape[1] ?? 1);
    const isA = name.endsWith(suffixA);
    const values = new Float32Array((shape[0] ?? 0) * (shape[1] ?? 0));
    return { name, shape, values: isA ? values.map(() => bound * (2 * own.uniform() - 1)) : values };
  });
  const store = await device.createState(entries);
  const addTo = async (weight: string, values: Float32Array): Promise<void> => {
    if (options.targets.includes(weight)) await addProduct(values, linearSpec(base, weight), { options, store }, 1);
  };
  const adapters = { options, store, parameters, addTo };
  const nodes = new Map(parameters.map(({ name, shape }) => [name, ops.state(name, shape)]));
  const products = options.targets.flatMap((target): [string, Product][] => {
    const [a, b] = [nodes.get(target + suffixA), nodes.get(target + suffixB)];
    return a === undefined || b === undefined ? [] : [[target, { a, b, scale: options.alpha / options.rank }]];
  });
  const { get, linear } = adaptedWeights(base.weights, new Map(products));
  return { ...base, adapters, weights: { get: (name) => nodes.get(name) ?? get(name), linear } };
}

/**
 * Names of the Linear weights that PEFT's `target_modules` would select: all, or those whose module's name is given or
 * ends in one that is. Never the head, whose name differs between versions of transformers. Throws `LoraOptionsError`
 * for a name that selects none.
 */
export function linearTargets(
  { config, parameters }: Pick<Model, "config" | "parameters">,
  wanted: "all-linear" | readonly string[],
): string[] {
  const head = headNameOf(config);
  const linear = parameters.flatMap(({ role, name }) => (role === "linear" && name !== head ? [name] : []));
  if (wanted === "all-linear") return linear;
  const isNamed = (name: string, ending: string): boolean => `.${moduleOf(name)}`.endsWith(`.${ending}`);
  const unknown = wanted.find((ending) => !linear.some((name) => isNamed(name, ending)));
  if (unknown !== undefined) {
    const ends = [...new Set(linear.map((name) => moduleOf(name).split(".").at(-1)))];
    throw new LoraOptionsError(
      `targets name '${visibleLine(unknown, 100)}', which no Linear weight of this model's layers ends in; they end in ${ends.join(", ")}`,
    );
  }
  return linear.filter((name) => wanted.some((ending) => isNamed(name, ending)));
}

/** A weight's module, as PEFT names it. */
export function moduleOf(weight: string): string {
  return weight.replace(/\.weight$/, "");
}

/** Adds the adapters into the base model's weights; the adapters themselves stay as they are. */
export async function mergeLora(model: AdaptedModel): Promise<void> {
  await addTimes(model, 1);
}

/** Subtracts merged adapters again, exact up to rounding. */
export async function unmergeLora(model: AdaptedModel): Promise<void> {
  await addTimes(model, -1);
}

/** A weight that is named twice would be stepped, and merged, twice. */
function checkOptions({ rank, alpha, targets }: LoraOptions): void {
  if (!(Number.isInteger(rank) && rank >= 1))
    throw new LoraOptionsError(`rank is ${rank}; expected a whole number of at least 1`);
  if (!Number.isFinite(alpha)) throw new LoraOptionsError(`alpha is ${alpha}; expected a finite number`);
  const twice = targets.find((target, at) => targets.indexOf(target) !== at);
  if (twice !== undefined) throw new LoraOptionsError(`targets name '${twice}' twice: name each weight once`);
}

async function addTimes({ store, parameters, adapters }: AdaptedModel, sign: 1 | -1): Promise<void> {
  for (const target of adapters.options.targets) {
    const weight = await readFloats(store, target);
    await addProduct(weight, linearSpec({ parameters }, target), adapters, sign);
    await store.write(target, weight);
  }
}

/** Adds a weight's adapter, times the sign, to the weight's values in place. */
async function addProduct(
  weight: Float32Array,
  { name, shape }: ParameterSpec,
  { options: { rank, alpha }, store }: Pick<ModelAdapters, "options" | "store">,
  sign: 1 | -1,
): Promise<void> {
  const [out = 0, inputs = 0] = shape;
  const a = await readFloats(store, name + suffixA);
  const b = await readFloats(store, name + suffixB);
  addScaledProduct(weight, b, a, { out, inputs, rank, scale: (sign * alpha) / rank });
}

function adapterSpecs(base: Pick<Model, "parameters">, target: string, rank: number): ParameterSpec[] {
  const [out = 0, inputs = 0] = linearSpec(base, target).shape;
  return [
    { name: target + suffixA, shape: [rank, inputs], role: "linear" },
    { name: target + suffixB, shape: [out, rank], role: "linear" },
  ];
}

function linearSpec(base: Pick<Model, "parameters">, target: string): ParameterSpec {
  const spec = base.parameters.find(({ name, role }) => name === target && role === "linear");
  if (spec !== undefined) return spec;
  const linear = base.parameters.filter(({ role }) => role === "linear").map(({ name }) => name);
  throw new CheckpointTensorError(
    `'${target}' is no Linear weight of this model; adapters fit ${linear.slice(0, 8).join(", ")}${linear.length > 8 ? " and others" : ""}`,
  );
}
