import { addRows, DEPTH, TILE } from "./linear-algebra.loops.ts";
import { tilesWasmBase64 } from "./tiles.wasm.ts";

const module = new WebAssembly.Module(Buffer.from(tilesWasmBase64, "base64"));
const pageBytes = 65_536;

interface TileKernels {
  /** Six addresses and counts, as tiles.wat declares them. */
  tileRow(out: number, left: number, right: number, tiles: number, depth: number, panelBytes: number): void;
}

/** The last one given back: a memory reserves much address space, so it is used again rather than made anew. */
let idle: TileProducts | undefined;

/** Runs work with products of up to `stride` vectors. */
export async function withTileProducts(stride: number, work: (products: TileProducts) => Promise<void>): Promise<void> {
  const products = idle !== undefined && idle.stride >= stride ? idle : new TileProducts(stride);
  // Other work may come in between.
  idle = undefined;
  await work(products);
  idle = products;
}

/** Inner products of packed vectors by SIMD kernels, which round as plain loops do. */
export class TileProducts {
  /** At most so many vectors, a multiple of TILE. */
  readonly stride: number;
  /** Where `packPanels` packs the vectors, [stride, DEPTH]. */
  readonly panels: Float64Array;
  /** The products of one row of tiles, [TILE, at most stride]. */
  readonly #products: Float64Array;
  readonly #kernels: TileKernels;

  constructor(stride: number) {
    this.stride = stride;
    const bytes = stride * (DEPTH + TILE) * Float64Array.BYTES_PER_ELEMENT;
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / pageBytes) });
    this.panels = new Float64Array(memory.buffer, 0, stride * DEPTH);
    this.#products = new Float64Array(memory.buffer, this.panels.byteLength, stride * TILE);
    // The module is assembled from tiles.wat beside this file, which exports exactly these.
    this.#kernels = new WebAssembly.Instance(module, { statistics: { memory } }).exports as unknown as TileKernels;
  }

  /** Adds the inner products of vectors i to i + TILE - 1 with all up to them, over `depth` packed numbers, to a triangle. */
  addTileRow(triangle: Float64Array, stride: number, i: number, depth: number): void {
    const tiles = i / TILE + 1;
    const panelBytes = TILE * DEPTH * Float64Array.BYTES_PER_ELEMENT;
    this.#kernels.tileRow(this.#products.byteOffset, (i / TILE) * panelBytes, 0, tiles, depth, panelBytes);
    addRows(triangle, i * stride, stride, this.#products, tiles * TILE);
  }
}
