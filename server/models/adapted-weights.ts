/** How graphs add low-rank adapters to a model's Linear weights. */
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { Weights } from "./architecture.ts";

/** What follows a weight's name in the names of its adapter's two matrices, A [rank, in] and B [out, rank]. */
export const suffixA = ".lora_A";
export const suffixB = ".lora_B";

/** An adapter in graphs: scale * x A^T B^T is added to the product with its weight. */
export interface Product {
  /** [rank, in] */
  readonly a: Node;
  /** [out, rank] */
  readonly b: Node;
  readonly scale: number;
}

/** Weights whose Linear products have the adapters of `products`, by weight, added. */
export function adaptedWeights(base: Weights, products: ReadonlyMap<string, Product>): Weights {
  const linear = (x: Node, weight: string, bias?: string): Node => {
    const plain = base.linear(x, weight, bias);
    const product = products.get(weight);
    if (product === undefined) return plain;
    const { a, b, scale } = product;
    return ops.add(plain, ops.affine(ops.linear(ops.linear(x, a), b), scale));
  };
  return { get: base.get, linear };
}
