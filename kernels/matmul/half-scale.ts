/**
 * The power of two that scales a tensor's largest magnitude to between 2^13 and 2^14, so that it fits into halves.
 * Values 2^38 times smaller underflow, and sums of many products still fit into f32.
 */
import { defineKernel, foldedGrid, type Launch, workgroupReduction } from "../wgsl.ts";

const size = 256;
/** Maximum number of partial results, and about the minimum number of elements of each. */
const mostGroups = 1024;
const groupElements = 8192;

export const scaleGroups = (elements: number): number => Math.min(mostGroups, Math.ceil(elements / groupElements));

/** x [elements] -> `largest` [groups] -> `scales`[slot]. Bindings: x, largest; then largest, scales. */
export function halfScaleLaunches(elements: number, slot: number): readonly [Launch, Launch] {
  const groups = scaleGroups(elements);
  const wide = elements % 4 === 0;
  const largest = defineKernel({
    name: "largestMagnitude",
    bindings: [
      { name: "x", type: wide ? "vec4f" : "f32", access: "read" },
      { name: "largest", type: "u32", access: "read_write" },
    ],
    params: [
      { name: "count", type: "u32" },
      { name: "groups", type: "u32" },
    ],
    size,
    declarations: maxBits,
    body: `
  if (group >= p.groups) { return; }
  var most = 0u;
  for (var at = group * ${size}u + lane; at < p.count; at += p.groups * ${size}u) {
    ${
      wide
        ? "let bits = bitcast<vec4<u32>>(x[at]) & vec4<u32>(0x7fffffffu);\n    most = max(most, max(max(bits.x, bits.y), max(bits.z, bits.w)));"
        : "most = max(most, bitcast<u32>(x[at]) & 0x7fffffffu);"
    }
  }
  most = mostAll(most, lane);
  if (lane == 0u) { largest[group] = most; }`,
  });
  const scale = defineKernel({
    name: "halfScale",
    bindings: [
      { name: "largest", type: "u32", access: "read" },
      { name: "scales", type: "f32", access: "read_write" },
    ],
    params: [
      { name: "groups", type: "u32" },
      { name: "slot", type: "u32" },
    ],
    size,
    declarations: maxBits,
    body: `
  if (group > 0u) { return; }
  var most = 0u;
  for (var at = lane; at < p.groups; at += ${size}u) { most = max(most, largest[at]); }
  most = mostAll(most, lane);
  if (lane == 0u) {
    // 127 + 13 - (exponent - 127), up to 2^100, whose reciprocal is still a normal number; nothing to scale by: 2^0.
    let exponent = most >> 23u;
    let usual = min(267u - exponent, 227u);
    let field = select(usual, 127u, most == 0u || exponent == 255u);
    scales[p.slot] = bitcast<f32>(field << 23u);
  }`,
  });
  return [
    { kernel: largest, params: [wide ? elements / 4 : elements, groups], grid: foldedGrid(groups) },
    { kernel: scale, params: [groups, slot], grid: [1, 1, 1] },
  ];
}

/** Maximum of magnitudes by their bits, which order them; NaN is the largest, so it is never hidden. */
const maxBits = workgroupReduction("mostAll", "u32", size, "max(a, b)");
