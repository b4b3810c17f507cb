/** Kernels that only multiply and add in registers: they measure the adapter's peak, to which products are compared. */
import type { MatrixConfig } from "./matmul/matrix-text.ts";
import { subgroupMatrices } from "./matmul/matrix-text.ts";
import { defineKernel, foldedGrid, type Launch } from "./wgsl.ts";

/** A launch and its number of floating-point operations. */
export interface Peak {
  readonly launch: Launch;
  readonly operations: number;
  /** Number of elements that it writes. */
  readonly results: number;
}

const lanes = 256;
/** Number of independent sums, which can run in parallel. */
const chains = 8;
const unrolled = 4;

/** y [groups, 256]: multiplies and adds x[0] and x[1] `iterations` times. Bindings: x [2], y. */
export function f32Peak(groups: number, iterations: number): Peak {
  const numbers = Array.from({ length: chains }, (_, at) => at);
  const step = numbers.map((at) => `    c${at} = fma(c${at}, a, b);`).join("\n");
  const kernel = defineKernel({
    name: "f32 peak",
    bindings: [
      { name: "x", type: "f32", access: "read" },
      { name: "y", type: "f32", access: "read_write" },
    ],
    params: [
      { name: "groups", type: "u32" },
      { name: "iterations", type: "u32" },
    ],
    size: lanes,
    body: `
  if (group >= p.groups) { return; }
  let a = vec4<f32>(x[0]);
  let b = vec4<f32>(x[1]);
${numbers.map((at) => `  var c${at} = vec4<f32>(f32(lane) + ${at}.0f);`).join("\n")}
  for (var i = 0u; i < p.iterations; i++) {
${Array.from({ length: unrolled }, () => step).join("\n")}
  }
  let sum = ${numbers.map((at) => `c${at}`).join(" + ")};
  y[group * ${lanes}u + lane] = sum.x + sum.y + sum.z + sum.w;`,
  });
  const operations = 2 * 4 * chains * unrolled * iterations * lanes * groups;
  return {
    launch: { kernel, params: [groups, iterations], grid: foldedGrid(groups) },
    operations,
    results: lanes * groups,
  };
}

/**
 * y [groups, subgroups, 8, M, N]: matrix i of the eight is iterations * K * (i + 1) * x. Bindings: x [1], y. The eight
 * left matrices differ, because a compiler would compute equal products once.
 */
export function matrixPeak(
  config: MatrixConfig,
  { subgroupSize, pinned }: { readonly subgroupSize: number; readonly pinned: boolean },
  groups: number,
  iterations: number,
): Peak {
  const text = subgroupMatrices(config, pinned);
  const { M, N, K } = config;
  const subgroups = 4;
  const size = subgroups * subgroupSize;
  const quads = (M * K) / 4;
  const numbers = Array.from({ length: chains }, (_, at) => at);
  const lefts = numbers.map((at) => ({
    name: `a${at}`,
    store: "lefts",
    offset: `${at * quads}u`,
    stride: K / 4,
    rowMajor: true,
  }));
  const right = { name: "b", store: "ones", offset: "0u", stride: N / 4, rowMajor: true };
  const vector = `vec4<${text.component}>`;
  const kernel = defineKernel({
    name: `${config.componentType} matrix peak`,
    enables: text.enables,
    builtins: text.builtins,
    attributes: text.attributes(subgroupSize),
    bindings: [
      { name: "x", type: "f32", access: "read" },
      { name: "y", type: "f32", access: "read_write" },
    ],
    params: [
      { name: "groups", type: "u32" },
      { name: "iterations", type: "u32" },
    ],
    size,
    declarations: `
var<workgroup> lefts: array<${vector}, ${chains * quads}>;
var<workgroup> ones: array<${vector}, ${(K * N) / 4}>;`,
    body: `
  if (group >= p.groups) { return; }
  for (var e = lane; e < ${(K * N) / 4}u; e += ${size}u) { ones[e] = ${vector}(vec4<f32>(1.0f)); }
  for (var e = lane; e < ${chains * quads}u; e += ${size}u) {
    lefts[e] = ${vector}(vec4<f32>(x[0] * f32(e / ${quads}u + 1u)));
  }
  workgroupBarrier();
${[...lefts.map(text.loadLeft), text.loadRight(right)].join("\n")}
${numbers.map((at) => text.zero(`c${at}`)).join("\n")}
  for (var i = 0u; i < p.iterations; i++) {
${lefts.map((left, at) => text.multiplyAdd(`c${at}`, left, right)).join("\n")}
  }
  let base = (group * ${subgroups}u + ${text.subgroup(subgroupSize)}) * ${chains * M * N}u;
${numbers.map((at) => text.store("y", `base + ${at * M * N}u`, `c${at}`, `${N}u`)).join("\n")}`,
  });
  return {
    launch: { kernel, params: [groups, iterations], grid: foldedGrid(groups) },
    operations: 2 * M * N * K * chains * subgroups * iterations * groups,
    results: groups * subgroups * chains * M * N,
  };
}
