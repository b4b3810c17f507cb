import { chooseVariant } from "../../../kernels/matmul/choose.ts";
import { directMatmulLaunch } from "../../../kernels/matmul/direct.ts";
import type { MatmulShape } from "../../../kernels/matmul/shape.ts";
import { type MatmulAdapter, planMatmul } from "../../../kernels/matmul/variants.ts";
import { type Fragment, plainFragment } from "../../../kernels/wgsl.ts";
import { type NodeOf, sizeOf } from "../graph.ts";
import type { Lowering } from "./lowering-types.ts";
import type { Value } from "./values.ts";

/** A product's fused epilogue: code over `value` and `at`, the values that it reads, and the result. */
export interface AfterMatmul {
  readonly epilogue: Fragment;
  readonly values: readonly Value[];
  readonly result: Value;
}

export function lowerMatmul(node: NodeOf<"matmul">, lowering: Lowering, after?: AfterMatmul): void {
  const [a, b] = [lowering.read(node.inputs[0]), lowering.read(node.inputs[1])];
  runProduct(matmulShapeOf(node), { a, b, result: after?.result ?? lowering.result(node), after }, lowering);
}

export interface ProductOperands {
  readonly a: Value;
  readonly b: Value;
  readonly result: Value;
  readonly after?: Omit<AfterMatmul, "result"> | undefined;
  /** Whether to add the product to the result's old values. */
  readonly accumulate?: boolean;
}

/** Chooses a product's kernel and runs it; all products go through here. */
export function runProduct(shape: MatmulShape, operands: ProductOperands, lowering: Lowering): void {
  const { a, b, result, accumulate = false } = operands;
  const { epilogue = plainFragment, values = [] } = operands.after ?? {};
  if (isSmall(shape, lowering.matmul.adapter)) {
    lowering.run(directMatmulLaunch(shape, { epilogue, accumulate }), [a, b, ...values, result]);
    return;
  }
  const { adapter, precision, tuned } = lowering.matmul;
  const { steps, workspaces } = planMatmul(shape, chooseVariant(shape, adapter, precision, tuned), {
    epilogue,
    accumulate,
    mostBytes: lowering.limits.bytes,
  });
  const named = new Map<string, Value>([
    ["a", a],
    ["b", b],
    ["y", result],
    ...epilogue.bindings.flatMap(({ name }, at) => (values[at] === undefined ? [] : [[name, values[at]] as const])),
    ...Object.entries(workspaces).map(([name, size]) => [name, lowering.scratch(size)] as const),
  ]);
  for (const step of steps)
    lowering.run(
      step.launch,
      step.operands.map((name) => valueNamed(named, name)),
    );
}

/** A product's shape. A batch with a shared right operand becomes one product of more rows. */
export function matmulShapeOf(node: NodeOf<"matmul">): MatmulShape {
  const { transA, transB, alpha } = node.attrs;
  const [left, right] = node.inputs;
  const sharedB = right?.shape.length === 2;
  const [M = 1, N = 1] = node.shape.slice(-2);
  const K = left?.shape.at(transA ? -2 : -1) ?? 1;
  return { batch: sizeOf(node.shape) / (M * N), M, N, K, transA, transB, alpha, sharedB };
}

/**
 * Whether a product is too small for tiles: they would be mostly empty, and compiling would take longer than running;
 * more so on a software adapter, where compiling a kernel takes seconds.
 */
function isSmall({ batch, M, N, K }: MatmulShape, { software }: MatmulAdapter): boolean {
  return batch * M * N * K <= 2 ** (software ? 23 : 20);
}

function valueNamed(named: ReadonlyMap<string, Value>, name: string): Value {
  const value = named.get(name);
  if (value === undefined) throw new TypeError(`a product's kernel binds '${name}', which nobody has`);
  return value;
}
