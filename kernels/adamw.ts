/** AdamW over arenas: the gradient norm, then one step for every parameter, with settings read from buffers. */
import { type Binding, defineKernel, foldedGrid, type Kernel, type Launch, sumAll } from "./wgsl.ts";

/** Quads (four elements) that one workgroup steps. */
export const adamWBlock = 1024;
const size = 256;

/**
 * Numbers per block in the table: its start in parameters, gradients, first and second moments, and its length, in
 * quads.
 */
export const blockFields = 5;

/** (gradients, blocks [n, 5]) -> partial [first .. first + n]: the sum of squares of each block. */
export function squaresLaunch(blocks: number, first = 0): Launch {
  const kernel = defineKernel({
    name: "gradientSquares",
    bindings: [
      { name: "gradients", type: "vec4f", access: "read" },
      { name: "blocks", type: "u32", access: "read" },
      { name: "partial", type: "f32", access: "read_write" },
    ],
    params: [
      { name: "count", type: "u32" },
      { name: "first", type: "u32" },
    ],
    size,
    declarations: sumAll(size),
    body: `
  if (group >= p.count) { return; }
  let start = blocks[group * ${blockFields}u + 1u];
  let length = blocks[group * ${blockFields}u + 4u];
  var sum = 0.0f;
  for (var at = lane; at < length; at += ${size}u) {
    let g = gradients[start + at];
    sum += dot(g, g);
  }
  sum = sumAll(sum, lane);
  if (lane == 0u) { partial[p.first + group] = sum; }`,
  });
  return { kernel, params: [blocks, first], grid: foldedGrid(blocks) };
}

/**
 * (partial [n], settings) -> result [2]: the norm and the clipping factor. The factor is negative when the norm is not
 * finite, which stops every update of the program.
 */
export function normLaunchOf(count: number): Launch {
  const kernel = defineKernel({
    name: "gradientNorm",
    bindings: [
      { name: "partial", type: "f32", access: "read" },
      { name: "settings", type: "f32", access: "read" },
      { name: "result", type: "f32", access: "read_write" },
    ],
    params: [{ name: "count", type: "u32" }],
    size,
    declarations: sumAll(size),
    body: `
  var sum = 0.0f;
  for (var at = lane; at < p.count; at += ${size}u) { sum += partial[at]; }
  sum = sumAll(sum, lane);
  if (lane == 0u) {
    let finite = (bitcast<u32>(sum) & 0x7f800000u) != 0x7f800000u;
    let norm = sqrt(sum);
    result[0] = norm;
    result[1] = select(-1.0f, min(1.0f, settings[8] / (norm + 1e-6f)), finite);
  }`,
  });
  return { kernel, params: [count], grid: [1, 1, 1] };
}

/** The binding through which each of the four arenas is accessed; arenas in the same buffer share one. */
export interface AdamWArenas {
  readonly parameters: string;
  readonly gradients: string;
  readonly first: string;
  readonly second: string;
}

/**
 * One step: m = beta1 m + (1 - beta1) c g, v = beta2 v + (1 - beta2) (c g)^2, p = keep p - stepSize m / (sqrt(v) root +
 * eps), with the settings of `adamWSettings` and c the clipping factor.
 */
export function adamWLaunch(arenas: AdamWArenas, blocks: number): Launch {
  const kernel = adamWKernel(arenas);
  return { kernel, params: [blocks], grid: foldedGrid(blocks) };
}

function adamWKernel({ parameters, gradients, first, second }: AdamWArenas): Kernel {
  const names = [...new Set([parameters, gradients, first, second])];
  const written = new Set([parameters, first, second]);
  const bindings = names.map(
    (name): Binding => ({ name, type: "vec4f", access: written.has(name) ? "read_write" : "read" }),
  );
  return defineKernel({
    name: "adamW",
    bindings: [
      ...bindings,
      { name: "blocks", type: "u32", access: "read" },
      { name: "settings", type: "f32", access: "read" },
      { name: "clipping", type: "f32", access: "read" },
    ],
    params: [{ name: "count", type: "u32" }],
    size,
    body: `
  let clip = clipping[1];
  if (group >= p.count || clip < 0.0f) { return; }
  let base = group * ${blockFields}u;
  let length = blocks[base + 4u];
  for (var at = lane; at < length; at += ${size}u) {
    let pAt = blocks[base] + at;
    let mAt = blocks[base + 2u] + at;
    let vAt = blocks[base + 3u] + at;
    let g = ${gradients}[blocks[base + 1u] + at] * clip;
    let m = settings[0] * ${first}[mAt] + settings[1] * g;
    let v = settings[2] * ${second}[vAt] + settings[3] * g * g;
    ${first}[mAt] = m;
    ${second}[vAt] = v;
    ${parameters}[pAt] = settings[7] * ${parameters}[pAt] - settings[4] * m / (sqrt(v) * settings[5] + settings[6]);
  }`,
  });
}
