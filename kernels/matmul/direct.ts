import { defineKernel, foldedGrid, type Launch, type Param } from "../wgsl.ts";
import type { Finish, MatmulShape } from "./shape.ts";

/** C = alpha op(A) op(B) without workgroup memory, one invocation per element: for products too small for tiles. */
export function directMatmulLaunch(
  { batch, M, N, K, transA, transB, alpha, sharedB }: MatmulShape,
  { epilogue, accumulate }: Finish,
): Launch {
  const lanes = 64;
  const kernel = defineKernel({
    name: `small matmul ${transA ? "At" : "A"} ${transB ? "Bt" : "B"}`,
    bindings: [
      { name: "a", type: "f32", access: "read" },
      { name: "b", type: "f32", access: "read" },
      ...epilogue.bindings,
      { name: "y", type: "f32", access: "read_write" },
    ],
    params: [
      ...["M", "N", "K", "strideB", "size"].map((name): Param => ({ name, type: "u32" })),
      { name: "alpha", type: "f32" },
    ],
    size: lanes,
    declarations: epilogue.declarations,
    body: `
  let at = group * ${lanes}u + lane;
  if (at >= p.size) { return; }
  let column = at % p.N;
  let row = at / p.N % p.M;
  let item = at / p.N / p.M;
  let fromA = item * p.M * p.K + row${transA ? "" : " * p.K"};
  let fromB = item * p.strideB + column${transB ? " * p.K" : ""};
  var sum = 0.0f;
  for (var k = 0u; k < p.K; k++) { sum += a[fromA + k${transA ? " * p.M" : ""}] * b[fromB + k${transB ? "" : " * p.N"}]; }
  let value = p.alpha * sum;
${epilogue.statements}
  y[at] ${accumulate ? "+=" : "="} ${epilogue.result};`,
  });
  const size = batch * M * N;
  return { kernel, params: [M, N, K, sharedB ? 0 : K * N, size, alpha], grid: foldedGrid(Math.ceil(size / lanes)) };
}
