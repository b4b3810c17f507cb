/** Classifiers whose safetensors are read: one program a length, on any device. Letters: B texts, T tokens, L labels. */
import type { Device, Program, StateEntry, StateStore } from "../../engine/device.ts";
import { describeShape } from "../../engine/errors.ts";
import { type Node, sameShape } from "../../engine/graph.ts";
import * as ops from "../../engine/ops.ts";
import { hiddenKeyBias, type ParameterSpec, stateWeights } from "../architecture.ts";
import { outFirst } from "../inputs-first.ts";
import { openCheckpointTensors, type TensorSource } from "../safetensors.ts";
import { ClassifierError } from "./errors.ts";
import type { ClassifierParts } from "./kinds.ts";
import type { LogitSource } from "./logit-source.ts";

/** Reads a classifier's weights onto a device. Throws `ClassifierError` and what `openCheckpointTensors` throws. */
export async function openWeights(device: Device, parts: ClassifierParts, folder: string): Promise<LogitSource> {
  await using source = outFirst(await openCheckpointTensors(folder), parts.inputsFirst);
  const names = namesOf(source, parts);
  const entries: StateEntry[] = [];
  for (const spec of parts.parameters)
    entries.push({
      ...spec,
      values: await source.readFloat32(names.get(spec.name) ?? spec.name, { requireFinite: true }),
    });
  return new WeightsLogits(device, parts, await device.createState(entries));
}

class WeightsLogits implements LogitSource {
  readonly #device: Device;
  readonly #parts: ClassifierParts;
  readonly #store: StateStore;
  readonly #programs = new Map<number, Promise<Program>>();

  constructor(device: Device, parts: ClassifierParts, store: StateStore) {
    this.#device = device;
    this.#parts = parts;
    this.#store = store;
  }

  get contextLength(): number {
    return this.#parts.contextLength;
  }

  encode(text: string): readonly number[] {
    return this.#parts.encode(text);
  }

  async logits(rows: readonly (readonly number[])[], [B, T]: readonly [B: number, T: number]): Promise<Float32Array> {
    const program = this.#programs.get(T) ?? this.#compile(B, T);
    this.#programs.set(T, program);
    const { logits = new Float32Array() } = await (await program).run(inputsOf(rows, [B, T], this.#parts));
    return logits instanceof Float32Array ? logits : Float32Array.from(logits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs.values()) await (await program).dispose();
    await this.#store.dispose();
  }

  async #compile(B: number, T: number): Promise<Program> {
    const { parameters, pooling } = this.#parts;
    const shape = [B, T] as const;
    const logits: Node = this.#parts.logits({
      weights: stateWeights(parameters),
      shape,
      ids: ops.input("ids", shape, "i32"),
      positions: ops.input("positions", shape, "i32"),
      keyBias: pooling === "first" ? ops.input("keyBias", [B, 1, 1, T]) : undefined,
      last: pooling === "last" ? ops.input("last", [B, T, 1]) : undefined,
    });
    return await this.#device.compile({ stores: [this.#store], frozen: [this.#store], outputs: { logits } });
  }
}

/** A batch padded at the right to B rows of T places. */
function inputsOf(
  rows: readonly (readonly number[])[],
  [B, T]: readonly [number, number],
  { pooling, positions: positionsIn }: Pick<ClassifierParts, "pooling" | "positions">,
): Record<string, Float32Array | Int32Array> {
  const ids = new Int32Array(B * T);
  const positions = new Int32Array(B * T);
  const keyBias = new Float32Array(B * T).fill(hiddenKeyBias);
  const last = new Float32Array(B * T);
  for (let row = 0; row < B; row++) {
    const own = rows[row] ?? [];
    ids.set(own, row * T);
    positions.set(positionsIn(own), row * T);
    // A row of padding sees its first place, so that its softmax stays finite.
    keyBias.fill(0, row * T, row * T + Math.max(1, own.length));
    last[row * T + Math.max(0, own.length - 1)] = 1;
  }
  const shared = { ids, positions };
  return pooling === "first" ? { ...shared, keyBias } : { ...shared, last };
}

/** The tensor of each parameter. Throws `ClassifierError` for one that is missing, of another shape, or left over. */
function namesOf({ path, tensors }: TensorSource, parts: ClassifierParts): ReadonlyMap<string, string> {
  const held = (spec: ParameterSpec): string => {
    const name = parts.spellings(spec.name).find((spelling) => tensors.has(spelling));
    const info = name === undefined ? undefined : tensors.get(name);
    if (name === undefined || info === undefined)
      throw new ClassifierError(`${path}: tensor '${spec.name}' ${describeShape(spec.shape)} is missing`);
    if (!sameShape(info.shape, spec.shape))
      throw new ClassifierError(
        `${path}: tensor '${name}' is ${describeShape(info.shape)}, but config.json asks for ${describeShape(spec.shape)}`,
      );
    return name;
  };
  const names = new Map(parts.parameters.map((spec) => [spec.name, held(spec)]));
  const used = new Set(names.values());
  for (const name of tensors.keys())
    if (!used.has(name) && !parts.ignorable.test(name))
      throw new ClassifierError(
        `${path}: tensor '${name}' belongs to no part of this classifier; it would be left out silently, so nothing was loaded`,
      );
  return names;
}
