/** A program's inputs, and the check of their values that every device makes at each run. */
import { InputMismatchError } from "./errors.ts";
import { type DType, type Node, type Shape, sizeOf, type Values } from "./graph.ts";
import { idBounds } from "./id-bounds.ts";

export interface BufferSpec {
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface PlannedInput {
  readonly name: string;
  readonly spec: BufferSpec;
  /** Where its values are ids: the exclusive upper bound; the lower bound is 0. */
  readonly idsBelow: number | undefined;
}

/** The inputs among some nodes, in their order. */
export function inputsOf(order: readonly Node[]): PlannedInput[] {
  const bounds = idBounds(order);
  const named = new Map<string, PlannedInput>();
  for (const node of order) {
    if (node.op !== "input") continue;
    const { name } = node.attrs;
    named.set(name, { name, spec: { shape: node.shape, dtype: node.dtype }, idsBelow: bounds.get(name) });
  }
  return [...named.values()];
}

/**
 * Throws `InputMismatchError` naming an input that is missing, has the wrong length or kind, or has ids out of range.
 */
export function checkInputs(inputs: readonly PlannedInput[], given: Readonly<Record<string, Values>>): void {
  for (const { name, spec, idsBelow } of inputs) {
    const values = given[name];
    const expected = `${sizeOf(spec.shape)} ${spec.dtype} values`;
    if (values === undefined) throw new InputMismatchError(name, "nothing", expected);
    if (values.length !== sizeOf(spec.shape) || dtypeOf(values) !== spec.dtype)
      throw new InputMismatchError(name, `${values.length} ${dtypeOf(values)} values`, expected);
    if (idsBelow !== undefined) checkIds(name, values, idsBelow);
  }
}

function checkIds(name: string, values: Values, below: number): void {
  const bad = values.findIndex((id) => id < 0 || id >= below);
  if (bad >= 0) throw new InputMismatchError(name, `id ${values[bad]} at place ${bad}`, `ids from 0 to ${below - 1}`);
}

function dtypeOf(values: Values): DType {
  return values instanceof Float32Array ? "f32" : "i32";
}
