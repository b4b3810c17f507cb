/** The CPU device's state: blocks of the heap, and fixed values outside of it, by store and name. */
import type { FixedEntry, StateEntry } from "../device.ts";
import { DeviceError, FixedStateError } from "../errors.ts";
import { checkCount, checkFixed, sharedName, widenedValues } from "../fixed-entries.ts";
import { sizeOf, type Values } from "../graph.ts";
import type { BufferSpec } from "../program-inputs.ts";
import type { Buffer } from "./buffers.ts";
import type { Heap } from "./heap.ts";
import type { SharedStore } from "./messages.ts";
import type { Feed } from "./plan.ts";
import type { BoundValues } from "./runtime.ts";

/** Fixed values, where the caller's thread left them. */
export type FixedValues = Pick<FixedEntry, "stored" | "values" | "isWritable">;

/** A state: in the heap, or fixed. */
type Held =
  | { readonly spec: BufferSpec; readonly buffer: Buffer; readonly fixed?: never }
  | { readonly spec: BufferSpec; readonly fixed: FixedValues; readonly buffer?: never };

/** State by store and name. */
export class StateStores {
  readonly #heap: Heap;
  readonly #stores = new Map<number, Map<string, Held>>();
  #next = 0;

  constructor(heap: Heap) {
    this.#heap = heap;
  }

  create(entries: readonly StateEntry[]): number {
    const store = new Map<string, Held>();
    for (const { name, shape, values, dtype = "f32" } of entries) {
      const spec = { shape, dtype };
      const buffer = { block: this.#heap.allocate(sizeOf(shape) * 4), spec };
      store.set(name, { spec, buffer });
      if (values !== undefined) this.#fill(name, buffer, values);
    }
    return this.#add(store);
  }

  /** A store of fixed values, and of those of another store where one is shared. */
  createFixed(entries: readonly FixedEntry[], shared?: SharedStore): number {
    const store = new Map(shared === undefined ? [] : this.#renamed(shared));
    for (const { name, shape, ...fixed } of entries) {
      checkFixed({ name, shape, ...fixed });
      store.set(name, { spec: { shape, dtype: "f32" }, fixed });
    }
    return this.#add(store);
  }

  /** A copy of the values, F32 or i32. */
  read(store: number, name: string): Values {
    const { buffer, fixed } = this.#held([store], name);
    return fixed === undefined ? this.#view(buffer).slice() : widened(fixed, true);
  }

  write(store: number, name: string, values: Values): void {
    const { spec, fixed } = this.#held([store], name);
    if (fixed?.isWritable !== true) this.#fill(name, this.buffer([store], name), values);
    else {
      checkCount(name, values.length, spec.shape);
      fixed.values.set(values);
    }
  }

  dispose(store: number): void {
    for (const { buffer } of this.#stores.get(store)?.values() ?? [])
      if (buffer !== undefined) this.#heap.release(buffer.block);
    this.#stores.delete(store);
  }

  /** The block of a state that programs may write. Throws `FixedStateError` for a fixed one. */
  buffer(stores: readonly number[], name: string): Buffer {
    const { buffer } = this.#held(stores, name);
    if (buffer !== undefined) return buffer;
    throw new FixedStateError(name);
  }

  /** Values to compute with: those in place, except F16 and BF16, which are widened into a copy. */
  values(stores: readonly number[], name: string): Values {
    const { buffer, fixed } = this.#held(stores, name);
    return fixed === undefined ? this.#view(buffer) : widened(fixed, false);
  }

  /** What ONNX Runtime reads for a feed from state, in place. */
  fed(stores: readonly number[], name: string, { fromRow, spec }: Feed): BoundValues {
    const { buffer, fixed } = this.#held(stores, name);
    if (fixed === undefined) return this.#view(buffer);
    const [, ...row] = spec.shape;
    const start = (fromRow ?? 0) * sizeOf(row);
    return fixed.values.subarray(start, start + sizeOf(spec.shape));
  }

  /** Throws `DeviceError` if a state is not what a program's feed reads. */
  check(stores: readonly number[], name: string, { spec, fromRow }: Feed): void {
    const { spec: held, fixed } = this.#held(stores, name);
    const dtype: Feed["spec"]["dtype"] = fixed?.stored ?? held.dtype;
    if (dtype !== spec.dtype || (fromRow === undefined && sizeOf(held.shape) !== sizeOf(spec.shape))) {
      throw new DeviceError(
        `state '${name}' holds ${dtype}[${held.shape.join(", ")}] but the program reads ${spec.dtype}[${spec.shape.join(", ")}]`,
      );
    }
  }

  #renamed({ store, prefix }: SharedStore): [string, Held][] {
    const held = this.#stores.get(store);
    if (held === undefined) throw new DeviceError("a store was shared after it was disposed of");
    return [...held].map(([name, values]) => [sharedName(name, prefix), values]);
  }

  #add(store: Map<string, Held>): number {
    this.#next += 1;
    this.#stores.set(this.#next, store);
    return this.#next;
  }

  #held(stores: readonly number[], name: string): Held {
    for (const store of stores) {
      const held = this.#stores.get(store)?.get(name);
      if (held !== undefined) return held;
    }
    throw new DeviceError(`no state '${name}' in the program's stores: create it first, or name the store that has it`);
  }

  #fill(name: string, buffer: Buffer, values: Values): void {
    checkCount(name, values.length, buffer.spec.shape);
    this.#view(buffer).set(values);
  }

  #view({ block, spec }: Buffer): Values {
    return this.#heap.view(block, spec.dtype, sizeOf(spec.shape));
  }
}

function widened({ stored, values }: FixedValues, copied: boolean): Float32Array {
  if (values instanceof Float32Array) return copied ? values.slice() : values;
  return widenedValues(stored, values);
}
