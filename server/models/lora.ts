/**
 * Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685): W + (alpha / rank) B A, with A [rank, in] and
 * B [out, rank].
 */
import type { Random } from "../common/random.ts";
import type { Device, StateStore } from "../engine/device.ts";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { ParameterSpec, Weights } from "./architecture.ts";
import { readFloats } from "./checkpoint.ts";
import { CheckpointTensorError, LoraOptionsError } from "./errors.ts";
import { addScaledProduct } from "./lora.loops.ts";
import type { Model } from "./model.ts";

export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
  /** Names of the Linear weights that get an adapter. */
  readonly targets: readonly string[];
}

/** A model with adapters: graphs built from `weights` use them; train only `parameters`. */
export interface AdaptedModel {
  readonly base: Model;
  readonly options: LoraOptions;
  /** Holds the adapters, under their weight's name with `.lora_A` and `.lora_B`. */
  readonly store: StateStore;
  readonly parameters: readonly ParameterSpec[];
  readonly weights: Weights;
}

/**
 * New adapters that change nothing yet: A is random, B zero. Throws `LoraOptionsError`, and `CheckpointTensorError`
 * for a target that is no Linear weight.
 */
export async function addLora(
  device: Device,
  base: Model,
  options: LoraOptions,
  random: Random,
): Promise<AdaptedModel> {
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
  return { base, options, store, parameters, weights: adaptedWeights(base.weights, parameters, options) };
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

const suffixA = ".lora_A";
const suffixB = ".lora_B";

async function addTimes({ base, options, store }: AdaptedModel, sign: 1 | -1): Promise<void> {
  for (const target of options.targets) {
    const { shape } = linearSpec(base, target);
    const [out = 0, inputs = 0] = shape;
    const weight = await readFloats(base.store, target);
    const a = await readFloats(store, target + suffixA);
    const b = await readFloats(store, target + suffixB);
    addScaledProduct(weight, b, a, { out, inputs, rank: options.rank, scale: (sign * options.alpha) / options.rank });
    await base.store.write(target, weight);
  }
}

function adaptedWeights(base: Weights, parameters: readonly ParameterSpec[], { rank, alpha }: LoraOptions): Weights {
  const nodes = new Map(parameters.map(({ name, shape }) => [name, ops.state(name, shape)]));
  const linear = (x: Node, weight: string, bias?: string): Node => {
    const plain = base.linear(x, weight, bias);
    const a = nodes.get(weight + suffixA);
    const b = nodes.get(weight + suffixB);
    return a === undefined || b === undefined
      ? plain
      : ops.add(plain, ops.affine(ops.linear(ops.linear(x, a), b), alpha / rank));
  };
  return { get: (name) => nodes.get(name) ?? base.get(name), linear };
}

function adapterSpecs(base: Model, target: string, rank: number): ParameterSpec[] {
  const [out = 0, inputs = 0] = linearSpec(base, target).shape;
  return [
    { name: target + suffixA, shape: [rank, inputs], role: "linear" },
    { name: target + suffixB, shape: [out, rank], role: "linear" },
  ];
}

function linearSpec(base: Model, target: string): ParameterSpec {
  const spec = base.parameters.find(({ name, role }) => name === target && role === "linear");
  if (spec !== undefined) return spec;
  const linear = base.parameters.filter(({ role }) => role === "linear").map(({ name }) => name);
  throw new CheckpointTensorError(
    `'${target}' is no Linear weight of this model; adapters fit ${linear.slice(0, 8).join(", ")}${linear.length > 8 ? " and others" : ""}`,
  );
}
