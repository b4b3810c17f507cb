import type { Launch } from "../../../kernels/wgsl.ts";
import type { StoredAs } from "../device.ts";
import type { DType, Shape, Values } from "../graph.ts";

/** A symbolic tensor on the device while a program is planned. The pool places transient ones by their last read. */
export interface Value {
  readonly shape: Shape;
  readonly size: number;
  readonly dtype: DType;
  readonly place: Place;
  /** How fixed state is held; undefined for all other values, of 32 bits. */
  readonly stored?: StoredAs | undefined;
}

/** What decides a tensor's size in memory. */
export type Extent = Pick<Value, "size" | "stored">;

export type Place =
  | { readonly kind: "transient" }
  | { readonly kind: "state"; readonly name: string }
  | { readonly kind: "input"; readonly name: string }
  /** A parameter's gradient in the optimizer's arenas, by index. */
  | { readonly kind: "gradient"; readonly index: number }
  | { readonly kind: "constant"; readonly values: Values | Uint32Array }
  /** Elements of another value from `start` on. */
  | { readonly kind: "part"; readonly of: Value; readonly start: number }
  /** A status word that the host reads after a run, at a stride of 256 bytes. */
  | { readonly kind: "status"; readonly slot: number };

/** A launch with what it binds, in the order of its kernel's bindings. */
export interface Step {
  readonly launch: Launch;
  readonly values: readonly Value[];
}

/** WebGPU's alignment of binding offsets, in bytes. */
export const bindingAlignment = 256;
/** Alignment of the starts of a value's parts, in elements. */
export function partAlignmentOf(value: Pick<Value, "stored">): number {
  return bindingAlignment / elementBytesOf(value);
}

/** Elements `start` to `start + size` of a value, as kernels bind them. */
export function partOf(value: Value, start: number, size: number): Value {
  if (start === 0 && size === value.size) return value;
  return { shape: [size], size, dtype: value.dtype, stored: value.stored, place: { kind: "part", of: value, start } };
}

/** The underlying value that is allocated. */
export function wholeOf(value: Value): Value {
  return value.place.kind === "part" ? wholeOf(value.place.of) : value;
}

/** An adapter's limits on bindings and buffers. */
export interface BindingLimits {
  /** Maximum bytes of one binding; a multiple of `bindingAlignment`. */
  readonly bytes: number;
  /** Maximum bindings of one kernel. */
  readonly count: number;
  /** Maximum bytes of one buffer. */
  readonly bufferBytes: number;
}

/** No limits, for plans that are only inspected. */
export const unlimited: BindingLimits = {
  bytes: Number.POSITIVE_INFINITY,
  count: Number.POSITIVE_INFINITY,
  bufferBytes: Number.POSITIVE_INFINITY,
};

/** The number of bindings that a tensor takes. */
export function windowCount(bytes: number, limits: BindingLimits): number {
  return Math.max(1, Math.ceil(bytes / limits.bytes));
}

export function elementBytesOf({ stored = "f32" }: Pick<Value, "stored">): 2 | 4 {
  return stored === "f32" ? 4 : 2;
}

/** Bytes of a value, rounded up to whole quads, so that kernels may read vec4s. */
export function bytesOf(value: Extent): number {
  return Math.ceil(value.size / 4) * 4 * elementBytesOf(value);
}

export function aligned(bytes: number): number {
  return Math.ceil(bytes / bindingAlignment) * bindingAlignment;
}

/** Formats a size for messages. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit: string = "bytes";
  for (const next of ["KiB", "MiB", "GiB"]) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}
