import type { FixedEntry, ShareOptions, StateEntry, StatePurpose, StateStore, StoredAs } from "../device.ts";
import { DeviceError, FixedStateError } from "../errors.ts";
import { checkCount, sharedName, widenedValues } from "../fixed-entries.ts";
import { type DType, type Shape, sizeOf, type Values } from "../graph.ts";
import { layOut } from "./arenas.ts";
import { bufferUsage, type GpuContext } from "./context.ts";
import type { Span } from "./span.ts";
import { bytesOf } from "./values.ts";

/** A state's span, dtype and shape. */
export interface HeldState extends Span {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly stored: StoredAs;
  /** Whether no program may write it. */
  readonly isFixed: boolean;
  /** Whether `GpuStateStore.write` may. */
  readonly isWritable: boolean;
}

/** A state to create: of any kind, or fixed. */
export type GpuStateEntry = StateEntry | FixedEntry;

/** State in arenas: contiguous entries in as few buffers as the adapter's limits allow. */
export class GpuStateStore implements StateStore {
  readonly names: readonly string[];
  readonly #context: GpuContext;
  readonly #held: ReadonlyMap<string, HeldState>;
  #onDispose: ShareOptions["onDispose"];
  /** Undefined once the store is disposed of. */
  #arenas: readonly Arenas[] | undefined;

  private constructor(context: GpuContext, { held, arenas }: Created, onDispose?: ShareOptions["onDispose"]) {
    this.#context = context;
    this.#held = held;
    this.#arenas = arenas;
    this.#onDispose = onDispose;
    this.names = [...held.keys()];
  }

  static async create(
    context: GpuContext,
    entries: readonly GpuStateEntry[],
    purpose: StatePurpose = "weights",
  ): Promise<GpuStateStore> {
    return new GpuStateStore(context, await createHeld(context, entries, purpose));
  }

  /** As `FixedMemory.share`, within the context's turn. */
  async share({ prefix, entries = [], onDispose }: ShareOptions): Promise<GpuStateStore> {
    if (this.#arenas === undefined) throw new DeviceError("a store was shared after it was disposed of");
    const own = await createHeld(this.#context, entries, "weights");
    const shared = [...this.#held].map(([name, state]) => [sharedName(name, prefix), state] as const);
    const arenas = [...this.#arenas.map((arena) => arena.shared()), ...own.arenas];
    return new GpuStateStore(this.#context, { held: new Map([...shared, ...own.held]), arenas }, onDispose);
  }

  find(name: string): HeldState | undefined {
    return this.#arenas === undefined ? undefined : this.#held.get(name);
  }

  read(name: string): Promise<Values> {
    return this.#context.inTurn(async () => {
      const state = this.#state(name);
      const bytes = bytesOf({ size: sizeOf(state.shape), stored: state.stored });
      const buffer = await this.#context.allocate("a read-out", bytes, bufferUsage.mapRead | bufferUsage.copyTarget);
      try {
        const encoder = this.#context.device.createCommandEncoder();
        encoder.copyBufferToBuffer(state.buffer, state.offset, buffer, 0, bytes);
        this.#context.device.queue.submit([encoder.finish()]);
        return valuesIn(await this.#context.readMapped(buffer, bytes, 0), state);
      } finally {
        this.#context.release(buffer);
      }
    });
  }

  write(name: string, values: Values): Promise<void> {
    return this.#context.inTurn(async () => {
      const state = this.#state(name);
      if (!state.isWritable) throw new FixedStateError(name);
      write(this.#context, name, state, values);
    });
  }

  async dispose(): Promise<void> {
    const onDispose = this.#onDispose;
    this.#onDispose = undefined;
    await this.#context.inTurn(async () => {
      for (const arena of this.#arenas ?? []) arena.release();
      this.#arenas = undefined;
    });
    // Not in the turn: it may dispose of other stores, each in a turn of its own.
    await onDispose?.();
  }

  #state(name: string): HeldState {
    const state = this.find(name);
    if (state !== undefined) return state;
    throw new DeviceError(`no state '${name}' in the program's stores: create it first, or name the store that has it`);
  }
}

/** The store, which must be the GPU device's own. Throws `DeviceError`. */
export function ownStore(store: StateStore): GpuStateStore {
  if (store instanceof GpuStateStore) return store;
  throw new DeviceError("a state store of another device was given to the GPU device");
}

/** The state of that name in the first store that has one. */
export function stateIn(stores: readonly GpuStateStore[], name: string): HeldState | undefined {
  for (const store of stores) {
    const held = store.find(name);
    if (held !== undefined) return held;
  }
  return undefined;
}

/** Buffers that are freed when as many stores have released them as have them. */
class Arenas {
  readonly #context: GpuContext;
  readonly #buffers: readonly GPUBuffer[];
  #users = 1;

  constructor(context: GpuContext, buffers: readonly GPUBuffer[]) {
    this.#context = context;
    this.#buffers = buffers;
  }

  shared(): this {
    this.#users += 1;
    return this;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) for (const buffer of this.#buffers) this.#context.release(buffer);
  }
}

/** States with the buffers that have them. */
interface Created {
  readonly held: ReadonlyMap<string, HeldState>;
  readonly arenas: readonly Arenas[];
}

async function createHeld(
  context: GpuContext,
  entries: readonly GpuStateEntry[],
  purpose: StatePurpose,
): Promise<Created> {
  const named = entries.map((entry) => ({ name: `'${entry.name}'`, shape: entry.shape, stored: storedOf(entry) }));
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
  for (const [index, entry] of entries.entries()) {
    const { name, shape, values } = entry;
    const place = layout.places[index];
    const buffer = place === undefined ? undefined : arenas[place.arena];
    if (place === undefined || buffer === undefined) throw new DeviceError(`state '${name}' was given no place`);
    const stored = storedOf(entry);
    const span = { buffer, offset: place.offset, bytes: bytesOf({ size: sizeOf(shape), stored }) };
    const state = { ...span, shape, stored, ...kindOf(entry) };
    held.set(name, state);
    if (values !== undefined) write(context, name, state, values);
  }
  return { held, arenas: [new Arenas(context, arenas)] };
}

function storedOf(entry: GpuStateEntry): StoredAs {
  return "stored" in entry ? entry.stored : "f32";
}

function kindOf(entry: GpuStateEntry): Pick<HeldState, "dtype" | "isFixed" | "isWritable"> {
  if ("stored" in entry) return { dtype: "f32", isFixed: true, isWritable: entry.isWritable === true };
  return { dtype: entry.dtype ?? "f32", isFixed: false, isWritable: true };
}

function valuesIn(data: ArrayBuffer, { shape, dtype, stored }: HeldState): Values {
  const size = sizeOf(shape);
  if (stored !== "f32") return widenedValues(stored, new Uint16Array(data, 0, size));
  return dtype === "f32" ? new Float32Array(data, 0, size) : new Int32Array(data, 0, size);
}

const usage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;
/** Chunk size of writes, because Dawn keeps a copy of each write. */
const writeBytes = 64 * 2 ** 20;

function write(
  { device }: GpuContext,
  name: string,
  { buffer, offset, shape }: Pick<HeldState, "buffer" | "offset" | "shape">,
  values: NonNullable<GpuStateEntry["values"]>,
): void {
  checkCount(name, values.length, shape);
  for (let at = 0; at < values.byteLength; at += writeBytes) {
    const bytes = Math.min(writeBytes, values.byteLength - at);
    const chunk = new Uint8Array(values.buffer, values.byteOffset + at, bytes);
    device.queue.writeBuffer(buffer, offset + at, bytes % 4 === 0 ? chunk : padded(chunk));
  }
}

/** The bytes with zeros up to a whole number of words, in which buffers are written. */
function padded(bytes: Uint8Array<ArrayBufferLike>): Uint8Array<ArrayBuffer> {
  const words = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  words.set(bytes);
  return words;
}
