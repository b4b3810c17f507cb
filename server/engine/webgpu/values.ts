import type { Launch } from "../../../kernels/wgsl.ts";
import type { DType, Shape, Values } from "../graph.ts";

/** Elements on the device while a program is planned. Where transient ones stand follows from who reads them last. */
export interface Value {
  readonly shape: Shape;
  readonly size: number;
  readonly dtype: DType;
  readonly place: Place;
}

export type Place =
  | { readonly kind: "transient" }
  | { readonly kind: "state"; readonly name: string }
  | { readonly kind: "input"; readonly name: string }
  /** The gradient of a parameter, in the arenas that the optimizer steps over: its number among them. */
  | { readonly kind: "gradient"; readonly index: number }
  | { readonly kind: "constant"; readonly values: Values | Uint32Array }
  /** Elements of another value from `start` on. */
  | { readonly kind: "part"; readonly of: Value; readonly start: number }
  /** A number that the host looks at after a run: by 256 bytes. */
  | { readonly kind: "status"; readonly slot: number };

/** A launch with what it binds, in the order of its kernel's bindings. */
export interface Step {
  readonly launch: Launch;
  readonly values: readonly Value[];
}

/** What WebGPU asks of the offset of a binding. */
export const bindingAlignment = 256;
/** Parts must begin at multiples of so many elements. */
export const partAlignment = bindingAlignment / 4;

/** Elements `start` to `start + size` of a value, as kernels bind them. */
export function partOf(value: Value, start: number, size: number): Value {
  if (start === 0 && size === value.size) return value;
  return { shape: [size], size, dtype: value.dtype, place: { kind: "part", of: value, start } };
}

/** The value that has a place of its own. */
export function wholeOf(value: Value): Value {
  return value.place.kind === "part" ? wholeOf(value.place.of) : value;
}

/** What an adapter binds and holds. */
export interface BindingLimits {
  /** Of a tensor that one binding shows; whole multiples of `bindingAlignment`. */
  readonly bytes: number;
  /** Buffers of one kernel. */
  readonly count: number;
  /** Of one buffer. */
  readonly bufferBytes: number;
}

/** Nothing is too large: for plans that are only looked at. */
export const unlimited: BindingLimits = {
  bytes: Number.POSITIVE_INFINITY,
  count: Number.POSITIVE_INFINITY,
  bufferBytes: Number.POSITIVE_INFINITY,
};

/** How many bindings a tensor takes. */
export function windowCount(bytes: number, limits: BindingLimits): number {
  return Math.max(1, Math.ceil(bytes / limits.bytes));
}

/** Bytes that a value takes: whole quads, so that kernels may read by four. */
export function bytesOf(value: Pick<Value, "size">): number {
  return Math.ceil(value.size / 4) * 16;
}

export function aligned(bytes: number): number {
  return Math.ceil(bytes / bindingAlignment) * bindingAlignment;
}

/** Sizes as people read them. */
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
