/**
 * Stands in for subgroup matrices where the adapter has none: 32 neighbouring invocations keep a fragment's sums among them, and factors
 * are read where they lie when they are multiplied. So everything around the builtins can be run and checked on any adapter.
 */
import type { MatrixConfig, MatrixText, Operand } from "../../kernels/matmul/matrix-text.ts";

const size = 32;

export function emulatedMatrices({ M, N, K }: MatrixConfig, component: "f32" | "f16" = "f32"): MatrixText {
  const own = (M * N) / size;
  const element = ({ store, rowMajor, stride }: Operand, base: string, row: string, column: string): string => {
    const [line, place] = rowMajor ? [row, column] : [column, row];
    return `f32(${store}[${base} + ${line} * ${stride}u + ${place} / 4u][${place} % 4u])`;
  };
  return {
    component,
    enables: component === "f16" ? ["f16"] : [],
    builtins: [],
    declarations: `alias Fragment = array<f32, ${own}>;`,
    attributes: () => [],
    subgroup: () => `lane / ${size}u`,
    zero: (name) => `  var ${name}: Fragment;`,
    loadLeft: ({ name, offset }) => `      let ${name} = ${offset};`,
    loadRight: ({ name, offset }) => `      let ${name} = ${offset};`,
    multiplyAdd: (sum, left, right) => `      for (var e = 0u; e < ${own}u; e++) {
        let place = lane % ${size}u + e * ${size}u;
        let row = place / ${N}u;
        let column = place % ${N}u;
        for (var i = 0u; i < ${K}u; i++) {
          ${sum}[e] += ${element(left, left.name, "row", "i")} * ${element(right, right.name, "i", "column")};
        }
      }`,
    scale: (name, factor) => `  for (var e = 0u; e < ${own}u; e++) { ${name}[e] *= ${factor}; }`,
    store: (to, offset, name, stride) => `  for (var e = 0u; e < ${own}u; e++) {
    let place = lane % ${size}u + e * ${size}u;
    ${to}[${offset} + place / ${N}u * ${stride} + place % ${N}u] = ${name}[e];
  }`,
  };
}
