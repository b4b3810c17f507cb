/** Fixed state as its devices check, name and widen it. */
import { bf16ToF32, f16ToF32 } from "../common/floats.loops.ts";
import type { FixedEntry, ShareOptions, StoredAs } from "./device.ts";
import { InputMismatchError } from "./errors.ts";
import { type Shape, sizeOf } from "./graph.ts";

/** The name that a shared value has in the new store. */
export function sharedName(name: string, { from, to }: ShareOptions["prefix"]): string {
  return name.startsWith(from) ? to + name.slice(from.length) : name;
}

/** Throws `InputMismatchError` for values of another number than the shape's, or of another kind than `stored`. */
export function checkFixed({ name, shape, stored, values }: FixedEntry): void {
  checkCount(name, values.length, shape);
  if ((stored === "f32") !== values instanceof Float32Array)
    throw new InputMismatchError(name, values.constructor.name, `values of ${stored}`);
}

/** Throws `InputMismatchError` unless `count` is the number of the shape's values. */
export function checkCount(name: string, count: number, shape: Shape): void {
  const expected = sizeOf(shape);
  if (count !== expected) throw new InputMismatchError(name, `${count} values`, `${expected}`);
}

/** F16 or BF16 values in F32, exactly. */
export function widenedValues(stored: StoredAs, bits: Uint16Array): Float32Array {
  const wide = new Float32Array(bits.length);
  (stored === "f16" ? f16ToF32 : bf16ToF32)(bits, wide, 0);
  return wide;
}
