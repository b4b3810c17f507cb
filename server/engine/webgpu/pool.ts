/** Buffer reuse among transient values: a value's buffer is free after its last read. */
import { bytesOf, type Step, type Value, wholeOf } from "./values.ts";

export interface Pool {
  /** Bytes of each buffer. */
  readonly sizes: readonly number[];
  readonly bufferOf: ReadonlyMap<Value, number>;
}

/** Assigns buffers; `kept` values are read after the last step. */
export function assignBuffers(steps: readonly Step[], kept: ReadonlySet<Value>): Pool {
  const lastUse = new Map<Value, number>();
  for (const [index, { values }] of steps.entries()) for (const value of values) lastUse.set(wholeOf(value), index);
  const sizes: number[] = [];
  const free = new Set<number>();
  const bufferOf = new Map<Value, number>();
  for (const [index, { values }] of steps.entries()) {
    const transient = new Set(values.map(wholeOf).filter(({ place }) => place.kind === "transient"));
    for (const value of transient) {
      if (bufferOf.has(value)) continue;
      const chosen = choose(bytesOf(value), sizes, free);
      free.delete(chosen);
      bufferOf.set(value, chosen);
    }
    for (const value of transient) {
      const buffer = bufferOf.get(value);
      if (buffer !== undefined && lastUse.get(value) === index && !kept.has(value)) free.add(buffer);
    }
  }
  return { sizes, bufferOf };
}

/** The smallest free buffer that is large enough, else the largest one, made larger, else a new one. */
function choose(bytes: number, sizes: number[], free: ReadonlySet<number>): number {
  let fitting: number | undefined;
  let largest: number | undefined;
  for (const buffer of free) {
    const size = sizes[buffer] ?? 0;
    if (size >= bytes && (fitting === undefined || size < (sizes[fitting] ?? 0))) fitting = buffer;
    if (largest === undefined || size > (sizes[largest] ?? 0)) largest = buffer;
  }
  if (fitting !== undefined) return fitting;
  // Do not grow a buffer more than fourfold: it should stay available for small values.
  if (largest !== undefined && (sizes[largest] ?? 0) * 4 >= bytes) {
    sizes[largest] = bytes;
    return largest;
  }
  sizes.push(bytes);
  return sizes.length - 1;
}
