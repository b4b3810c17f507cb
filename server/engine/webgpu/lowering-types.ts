/** What the rules that bring operators to the device are given, and what a rule is; lowering.ts has the table of them. */
import type { Precision, Tuned } from "../../../kernels/matmul/choose.ts";
import type { MatmulAdapter } from "../../../kernels/matmul/variants.ts";
import type { Launch } from "../../../kernels/wgsl.ts";
import type { Node, NodeOf, OpKind } from "../graph.ts";
import type { FragmentBuilder, Place } from "./fragment-builder.ts";
import type { BindingLimits, Value } from "./values.ts";

/** What products are chosen by. */
export interface MatmulChoice {
  readonly adapter: MatmulAdapter;
  readonly precision: Precision;
  readonly tuned: Tuned;
}

/** How a rule reaches operands and results while a program is planned. */
export interface Lowering {
  readonly matmul: MatmulChoice;
  /** How many elements of logits may be in memory at once where only some of them are wanted. */
  readonly mostLogits: number;
  readonly limits: BindingLimits;
  /** A node's elements in memory; computed now if they are not there yet. */
  read(node: Node | undefined): Value;
  /** Where the result of the node that is being lowered goes. */
  result(node: Node): Value;
  scratch(size: number): Value;
  constant(key: string, make: () => Float32Array): Value;
  /** A number that the host checks after the run; it starts at 2^32 - 1. */
  status(what: Node): Value;
  /** The code that computes a node's element, for kernels that compute their operand as they read it. */
  builder(mostExtents: number): FragmentBuilder;
  run(launch: Launch, values: readonly Value[]): void;
}

/** The element of a node at a place, as code. */
export type ElementRule<K extends OpKind> = (
  node: NodeOf<K>,
  place: Place,
  builder: FragmentBuilder,
  lowering: Lowering,
) => string;

/**
 * How an operator comes to the device. `leaf`: it is there already. `element`: each element is a formula over elements of operands, so that it
 * can be computed inside the kernel of whoever reads it. Elements that only `move` cost nothing. `kernel`: launches of its own, which may
 * `fuse` the code of their operand.
 */
export type LoweringRule<K extends OpKind> =
  | { readonly kind: "leaf" }
  | { readonly kind: "element"; readonly moves: boolean; readonly element: ElementRule<K> }
  | { readonly kind: "kernel"; readonly fuses: boolean; readonly lower: (node: NodeOf<K>, lowering: Lowering) => void };
