/** Writes to state in place. */
import { defineKernel, foldedGrid, type Launch } from "./wgsl.ts";

const lanes = 256;

export interface WriteOptions {
  /** Whether to bind `clipping` last, whose second number, if negative, stops the write. */
  readonly guarded: boolean;
  /**
   * Whether target and value share a buffer. Both are then bound as writable: WebGPU allows one usage of a buffer at
   * a time.
   */
  readonly sharesBuffer: boolean;
}

/** target [size] += value, or = value. Bindings: target, value[, clipping]. */
export function applyLaunch(
  kind: "assign" | "accumulate",
  type: "f32" | "i32",
  size: number,
  options: WriteOptions,
): Launch {
  const kernel = defineKernel({
    name: kind,
    bindings: [
      { name: "to", type, access: "read_write" },
      { name: "value", type, access: options.sharesBuffer ? "read_write" : "read" },
      ...guards(options),
    ],
    params: [{ name: "size", type: "u32" }],
    size: lanes,
    body: `
  let at = group * ${lanes}u + lane;
  if (at >= p.size${stop(options)}) { return; }
  to[at] ${kind === "assign" ? "=" : "+="} value[at];`,
  });
  return { kernel, params: [size], grid: foldedGrid(Math.ceil(size / lanes)) };
}

/**
 * Writes value [rows, T, D] to target [rows, S, D] at start .. start + T. Bindings: target, value, start[, clipping].
 */
export function writeAtLaunch(shape: { rows: number; S: number; T: number; D: number }, options: WriteOptions): Launch {
  const { rows, S, T, D } = shape;
  const kernel = defineKernel({
    name: "writeAt",
    bindings: [
      { name: "to", type: "f32", access: "read_write" },
      { name: "value", type: "f32", access: options.sharesBuffer ? "read_write" : "read" },
      { name: "start", type: "i32", access: "read" },
      ...guards(options),
    ],
    params: ["size", "S", "T", "D"].map((name) => ({ name, type: "u32" }) as const),
    size: lanes,
    body: `
  let at = group * ${lanes}u + lane;
  if (at >= p.size${stop(options)}) { return; }
  let length = p.T * p.D;
  to[(at / length * p.S + u32(start[0])) * p.D + at % length] = value[at];`,
  });
  const size = rows * T * D;
  return { kernel, params: [size, S, T, D], grid: foldedGrid(Math.ceil(size / lanes)) };
}

function guards({ guarded }: WriteOptions) {
  return guarded ? [{ name: "clipping", type: "f32", access: "read" } as const] : [];
}

function stop({ guarded }: WriteOptions): string {
  return guarded ? " || clipping[1] < 0.0f" : "";
}
