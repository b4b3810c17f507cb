import type { StateEntry, StatePurpose, StateStore } from "../device.ts";
import { DeviceError, InputMismatchError } from "../errors.ts";
import { type DType, type Shape, sizeOf, type Values } from "../graph.ts";
import { layOut } from "./arenas.ts";
import { bufferUsage, type GpuContext } from "./context.ts";
import type { Span } from "./span.ts";
import { bytesOf } from "./values.ts";

/** A state's span, dtype and shape. */
export interface HeldState extends Span {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** State in arenas: contiguous entries in as few buffers as the adapter's limits allow. */
export class GpuStateStore implements StateStore {
  readonly names: readonly string[];
  readonly #context: GpuContext;
  readonly #held: Map<string, HeldState>;
  readonly #arenas: readonly GPUBuffer[];

  private constructor(context: GpuContext, held: Map<string, HeldState>, arenas: readonly GPUBuffer[]) {
    this.#context = context;
    this.#held = held;
    this.#arenas = arenas;
    this.names = [...held.keys()];
  }

  static async create(
    context: GpuContext,
    entries: readonly StateEntry[],
    purpose: StatePurpose = "weights",
  ): Promise<GpuStateStore> {
    const named = entries.map(({ name, shape }) => ({ name: `'${name}'`, shape }));
    const layout = layOut(named, context.limits);
    const total = layout.arenas.reduce((sum, bytes) => sum + bytes, 0);
    context.memory.admit([{ what: purpose, bytes: total }]);
    const arenas: GPUBuffer[] = [];
    try {
      for (const bytes of layout.arenas) arenas.push(await context.allocate(purpose, bytes, usage));
    } catch (error) {
      for (const arena of arenas) context.release(arena);
      throw error;
    }
    const held = new Map<string, HeldState>();
    for (const [index, { name, shape, dtype = "f32", values }] of entries.entries()) {
      const place = layout.places[index];
      const buffer = place === undefined ? undefined : arenas[place.arena];
      if (place === undefined || buffer === undefined) throw new DeviceError(`state '${name}' was given no place`);
      const state = { buffer, offset: place.offset, bytes: bytesOf({ size: sizeOf(shape) }), shape, dtype };
      held.set(name, state);
      if (values !== undefined) write(context, name, state, values);
    }
    return new GpuStateStore(context, held, arenas);
  }

  find(name: string): HeldState | undefined {
    return this.#held.get(name);
  }

  read(name: string): Promise<Values> {
    return this.#context.inTurn(async () => {
      const state = this.#state(name);
      const bytes = sizeOf(state.shape) * 4;
      const buffer = await this.#context.allocate("a read-out", bytes, bufferUsage.mapRead | bufferUsage.copyTarget);
      try {
        const encoder = this.#context.device.createCommandEncoder();
        encoder.copyBufferToBuffer(state.buffer, state.offset, buffer, 0, bytes);
        this.#context.device.queue.submit([encoder.finish()]);
        const data = await this.#context.readMapped(buffer, bytes, 0);
        return state.dtype === "f32" ? new Float32Array(data) : new Int32Array(data);
      } finally {
        this.#context.release(buffer);
      }
    });
  }

  write(name: string, values: Values): Promise<void> {
    return this.#context.inTurn(async () => write(this.#context, name, this.#state(name), values));
  }

  dispose(): Promise<void> {
    return this.#context.inTurn(async () => {
      for (const arena of this.#held.size === 0 ? [] : this.#arenas) this.#context.release(arena);
      this.#held.clear();
    });
  }

  #state(name: string): HeldState {
    const state = this.#held.get(name);
    if (state !== undefined) return state;
    throw new DeviceError(`no state '${name}' in the program's stores: create it first, or name the store that has it`);
  }
}

const usage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;
/** Chunk size of writes, because Dawn keeps a copy of each write. */
const writeBytes = 64 * 2 ** 20;

function write({ device }: GpuContext, name: string, { buffer, offset, shape }: HeldState, values: Values): void {
  const expected = sizeOf(shape);
  if (values.length !== expected) throw new InputMismatchError(name, `${values.length} values`, `${expected}`);
  for (let at = 0; at < values.byteLength; at += writeBytes) {
    const bytes = Math.min(writeBytes, values.byteLength - at);
    device.queue.writeBuffer(buffer, offset + at, values.buffer, values.byteOffset + at, bytes);
  }
}
