/** Types of the GPU lowering rules and their context; lowering.ts has the table of rules. */
import type { Precision, Tuned } from "../../../kernels/matmul/choose.ts";
import type { MatmulAdapter } from "../../../kernels/matmul/variants.ts";
import type { Launch } from "../../../kernels/wgsl.ts";
import type { Node, NodeOf, OpKind } from "../graph.ts";
import type { FragmentBuilder, Place } from "./fragment-builder.ts";
import type { BindingLimits, Value } from "./values.ts";

/** What the choice of a product's kernel depends on. */
export interface MatmulChoice {
  readonly adapter: MatmulAdapter;
  readonly precision: Precision;
  readonly tuned: Tuned;
}

/** A rule's access to operands and results while a program is planned. */
export interface Lowering {
  readonly matmul: MatmulChoice;
  /** Maximum elements of logits materialised at once if only log-probabilities of ids are needed. */
  readonly mostLogits: number;
  readonly limits: BindingLimits;
  /** A node's value in memory; plans its computation if that is not done yet. */
  read(node: Node | undefined): Value;
  /** The value that the lowered node's result is written to. */
  result(node: Node): Value;
  scratch(size: number): Value;
  constant(key: string, make: () => Float32Array): Value;
  /** A status word that the host checks after the run; it starts at 2^32 - 1. */
  status(what: Node): Value;
  /** A builder for a node's per-element code, for kernels that inline their operand. */
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
 * How an operator is lowered. `leaf`: its value is on the device already. `element`: each element is a formula over
 * elements of operands, so readers' kernels can inline it; rules that only `move` elements cost nothing. `kernel`:
 * launches of its own, which may `fuse` their operand's code.
 */
export type LoweringRule<K extends OpKind> =
  | { readonly kind: "leaf" }
  | { readonly kind: "element"; readonly moves: boolean; readonly element: ElementRule<K> }
  | { readonly kind: "kernel"; readonly fuses: boolean; readonly lower: (node: NodeOf<K>, lowering: Lowering) => void };
