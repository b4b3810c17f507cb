/** Tensors as other programs hold them, in F32 and row-major order. */
import { endianness } from "node:os";
import { invariant } from "../../common/errors.ts";
import { bf16ToF32, f16ToF32, openSafetensors } from "../../models/safetensors.ts";
import { SaeFormatError } from "../errors.ts";

export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export type Tensors = ReadonlyMap<string, Tensor>;

/** Real dictionaries have at most eight. A file may name one storage many times, and each tensor takes memory of its own. */
const mostTensors = 64;

/** Throws `SaeFormatError` for more tensors than any dictionary has. */
export function requireFew(count: number, path: string): void {
  if (count > mostTensors)
    throw new SaeFormatError(`${path} has ${count} tensors; expected at most ${mostTensors} in a dictionary`);
}

/** Bytes of one number. */
export const elementBytes = { f16: 2, bf16: 2, f32: 4, f64: 8, i32: 4, i64: 8 } as const;
export type ElementType = keyof typeof elementBytes;

/** Little-endian numbers as F32. */
export function toFloat32(bytes: Uint8Array, type: ElementType): Float32Array {
  invariant(endianness() === "LE", "weights are read in place, which needs a little-endian machine");
  const count = Math.floor(bytes.length / elementBytes[type]);
  // A copy: views of wider numbers need aligned bytes.
  const own = new Uint8Array(bytes.subarray(0, count * elementBytes[type])).buffer;
  const floats = new Float32Array(count);
  switch (type) {
    case "f32":
      return new Float32Array(own);
    case "f64":
      return Float32Array.from(new Float64Array(own));
    case "i32":
      return Float32Array.from(new Int32Array(own));
    case "i64":
      return Float32Array.from(new BigInt64Array(own), Number);
    case "f16":
      f16ToF32(new Uint16Array(own), floats, 0);
      return floats;
    case "bf16":
      bf16ToF32(new Uint16Array(own), floats, 0);
      return floats;
  }
}

/** The values of a tensor of a shape; -1 stands for any size from 1. Throws `SaeFormatError`. */
export function valuesOf(tensors: Tensors, name: string, shape: readonly number[], path: string): Float32Array {
  const found = tensors.get(name);
  const fits =
    found?.shape.length === shape.length &&
    shape.every((size, at) => (size === -1 ? (found.shape[at] ?? 0) > 0 : size === found.shape[at]));
  if (found === undefined || !fits)
    throw new SaeFormatError(
      `${path}: tensor '${name}' is ${found === undefined ? "missing" : `[${found.shape}]`}; expected [${shape.map((size) => (size === -1 ? "any" : size))}]`,
    );
  const bad = found.values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new SaeFormatError(`${path}: tensor '${name}' holds ${found.values[bad]} at place ${bad}`);
  return found.values;
}

/** Throws `SaeFormatError` for a tensor that is not among the names: it would be left out silently. */
export function requireOnly(tensors: Tensors, names: readonly string[], path: string): void {
  const unknown = [...tensors.keys()].find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new SaeFormatError(`${path}: tensor '${unknown}' belongs to no part of this kind of autoencoder`);
}

/** All tensors of a safetensors file. */
export async function readTensors(path: string): Promise<Tensors> {
  await using source = await openSafetensors(path);
  requireFew(source.tensors.size, path);
  const found = new Map<string, Tensor>();
  for (const [name, { shape }] of source.tensors) found.set(name, { shape, values: await source.readFloat32(name) });
  return found;
}
