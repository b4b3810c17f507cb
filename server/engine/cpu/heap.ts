import { DeviceError } from "../errors.ts";
import type { DType, Values } from "../graph.ts";
import { kernelsWasmBase64 } from "./kernels.wasm.ts";
import { mostHeapBytes } from "./limits.ts";

/** A range of the heap. Read its values through `Heap.view`, because growth invalidates every view. */
export interface Block {
  readonly offset: number;
  readonly bytes: number;
}

export interface Kernels {
  adamw(...places: readonly number[]): void;
  sumOfSquares(x: number, bytes: number): number;
  addInto(to: number, from: number, bytes: number): void;
}

/**
 * One WebAssembly memory that holds all state, gradients and results of the CPU device: ONNX Runtime reads and writes
 * it without a copy, and the SIMD kernels run on it. Blocks are 64-byte aligned and zero-filled.
 */
export class Heap {
  readonly kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  /** Free blocks by offset; neighbours are always merged. */
  #free: Block[] = [];
  #end = alignment;

  constructor() {
    this.#memory = new WebAssembly.Memory({ initial: 1, maximum: mostPages });
    const module = new WebAssembly.Module(Buffer.from(kernelsWasmBase64, "base64"));
    const { exports } = new WebAssembly.Instance(module, { engine: { memory: this.#memory } });
    // The module is assembled from kernels.wat beside this file, which exports exactly these.
    this.kernels = exports as unknown as Kernels;
  }

  get usedBytes(): number {
    return this.#end - this.#free.reduce((sum, block) => sum + block.bytes, 0);
  }

  /** Throws `DeviceError` when 4 GiB, the most that a 32-bit memory holds, do not suffice. */
  allocate(bytes: number): Block {
    const needed = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    const index = this.#free.findIndex((block) => block.bytes >= needed);
    const found = this.#free[index];
    if (found === undefined) return this.#extend(needed);
    const rest = { offset: found.offset + needed, bytes: found.bytes - needed };
    this.#free.splice(index, 1, ...(rest.bytes > 0 ? [rest] : []));
    new Uint8Array(this.#memory.buffer, found.offset, needed).fill(0);
    return { offset: found.offset, bytes: needed };
  }

  /** Throws `DeviceError` if that many more bytes do not fit, fragmentation aside. */
  admit(bytes: number): void {
    if (this.usedBytes + bytes > mostHeapBytes) throw this.#tooMuch(bytes);
  }

  release(block: Block): void {
    const sorted = [...this.#free, block].toSorted((a, b) => a.offset - b.offset);
    this.#free = [];
    for (const next of sorted) {
      const last = this.#free.at(-1);
      if (last !== undefined && last.offset + last.bytes === next.offset) {
        this.#free[this.#free.length - 1] = { offset: last.offset, bytes: last.bytes + next.bytes };
      } else this.#free.push(next);
    }
  }

  /** The values of a block. Valid until the next `allocate`. */
  view(block: Block, dtype: DType, length: number): Values {
    return dtype === "f32"
      ? new Float32Array(this.#memory.buffer, block.offset, length)
      : new Int32Array(this.#memory.buffer, block.offset, length);
  }

  #extend(bytes: number): Block {
    const offset = this.#end;
    const end = offset + bytes;
    const pages = Math.ceil((end - this.#memory.buffer.byteLength) / pageBytes);
    if (pages > 0) this.#grow(pages, bytes);
    this.#end = end;
    return { offset, bytes };
  }

  #grow(pages: number, bytes: number): void {
    try {
      this.#memory.grow(pages);
    } catch (cause) {
      throw this.#tooMuch(bytes, { cause });
    }
  }

  #tooMuch(bytes: number, options?: ErrorOptions): DeviceError {
    const used = Math.round(this.usedBytes / 2 ** 20);
    const message = `the CPU device holds ${used} MiB and needs ${Math.round(bytes / 2 ** 20)} MiB more, but one device holds 4096 MiB at most: take a smaller model, a smaller batch or shorter texts; where a run tunes a model, train adapters (lora in its tuning's settings)`;
    return new DeviceError(message, options);
  }
}

const alignment = 64;
const pageBytes = 65_536;
const mostPages = mostHeapBytes / pageBytes;
