import type { DType, Node, Shape, Values } from "../graph.ts";
import type { OnnxAttribute, OnnxInitializer, OnnxNode } from "./model-writer.ts";

/** The name of an ONNX value. */
export type Value = string;

/** A value before it was reshaped. */
export interface Origin {
  readonly value: Value;
  readonly shape: Shape;
}

/** A matrix whose rows are multiplied by a number each: its value before that [N, M], and the numbers [N, 1]. */
export interface ScaledRows {
  readonly rows: Value;
  readonly scale: Value;
}

/** A leaf whose values are narrower than F32 where they are held. */
export interface NarrowLeaf {
  /** The value of its rows from `start` to before `end`, as they are held. */
  rows(start: number, end: number): Value;
}

/** Collects the ONNX nodes of one program; lowering rules write through it. */
export class Emitter {
  readonly #nodes: OnnxNode[] = [];
  readonly #widenings: OnnxNode[] = [];
  readonly #narrow = new Map<Node, NarrowLeaf>();
  readonly initializers: OnnxInitializer[] = [];
  readonly #names = new Map<Node, Value>();
  readonly #origins = new Map<Value, Origin>();
  readonly #scaledRows = new Map<Value, ScaledRows>();
  readonly #memo = new Map<string, readonly Value[]>();
  #next = 0;

  /**
   * Inputs before users. Widenings come first: ONNX Runtime runs a node's inputs in the reverse of this order, so that it
   * widens each weight just before its use, after everything else that the use needs.
   */
  get nodes(): readonly OnnxNode[] {
    return [...this.#widenings, ...this.#nodes];
  }

  /** The value that a node was lowered to. A narrow leaf is widened anew by each call, so that no wide copy outlives its use. */
  valueOf(node: Node | undefined): Value {
    const leaf = this.narrowOf(node);
    if (leaf !== undefined) return this.widened(leaf.rows(0, node?.shape[0] ?? 1));
    const name = node === undefined ? undefined : this.#names.get(node);
    if (name === undefined) throw new TypeError(`${node?.op ?? "an operand"} is used before it is lowered`);
    return name;
  }

  bind(node: Node, value: Value): void {
    this.#names.set(node, value);
  }

  bindNarrow(node: Node, leaf: NarrowLeaf): void {
    this.#narrow.set(node, leaf);
  }

  /** Undefined for a node whose values are held as they are computed with. */
  narrowOf(node: Node | undefined): NarrowLeaf | undefined {
    return node === undefined ? undefined : this.#narrow.get(node);
  }

  /** F32 values of an input of the model that holds F16 or BF16. */
  widened(value: Value): Value {
    const output = this.fresh();
    this.#widenings.push({ op: "Cast", inputs: [value], outputs: [output], attributes: { to: float32 }, domain: "" });
    return output;
  }

  fresh(): Value {
    this.#next += 1;
    return `t${this.#next}`;
  }

  /** Adds a node with one output. Standard operators; a name with a dot is an operator of ONNX Runtime's own. */
  emit(op: string, inputs: readonly Value[], attributes: Readonly<Record<string, OnnxAttribute>> = {}): Value {
    const [output = ""] = this.emitMany(op, inputs, 1, attributes);
    return output;
  }

  /** Adds a standard operator whose output has a name visible to users of the model. */
  emitAs(name: Value, op: string, inputs: readonly Value[]): void {
    this.#nodes.push({ op, inputs, outputs: [name], attributes: {}, domain: "" });
  }

  emitMany(
    op: string,
    inputs: readonly Value[],
    count: number,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): Value[] {
    const outputs = Array.from({ length: count }, () => this.fresh());
    const contributed = op.startsWith("ms.");
    this.#nodes.push({
      op: contributed ? op.slice(3) : op,
      inputs,
      outputs,
      attributes,
      domain: contributed ? "com.microsoft" : "",
    });
    return outputs;
  }

  /** A value of shape `from` with another shape. An output of the model is copied by it: see `originOf`. */
  reshaped(value: Value, from: Shape, to: Shape): Value {
    const name = this.emit("Reshape", [value, this.ints(to)]);
    this.#origins.set(name, this.#origins.get(value) ?? { value, shape: from });
    return name;
  }

  /** The value that has an output's numbers without a reshape, and its shape; undefined where the output was not reshaped. */
  originOf(value: Value): Origin | undefined {
    return this.#origins.get(value);
  }

  /** rows [N, M] times scale [N, 1]; a product reads its factors instead, by `scaledRowsOf`. */
  scaleRows(scaled: ScaledRows): Value {
    const name = this.emit("Mul", [scaled.rows, scaled.scale]);
    this.#scaledRows.set(name, scaled);
    return name;
  }

  /** The factors of a value that `scaleRows` made. */
  scaledRowsOf(value: Value): ScaledRows | undefined {
    return this.#scaledRows.get(value);
  }

  /** The nodes that some values depend on, in order: a rule may bypass what an earlier one emitted. */
  nodesFor(values: Iterable<Value>): OnnxNode[] {
    const wanted = new Set(values);
    const kept: OnnxNode[] = [];
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some((output) => wanted.has(output))) continue;
      kept.push(node);
      for (const input of node.inputs) wanted.add(input);
    }
    return kept.toReversed();
  }

  /** Values created once per key, for sub-expressions that several rules share. */
  once(key: string, make: () => readonly Value[]): readonly Value[] {
    const known = this.#memo.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#memo.set(key, made);
    return made;
  }

  /** A float constant; scalars by default. */
  float(value: number, shape: Shape = []): Value {
    const [name = ""] = this.once(`float ${value} ${shape.join()}`, () => {
      const count = shape.reduce((product, extent) => product * extent, 1);
      return [this.initializer("f32", shape, new Float32Array(count).fill(value))];
    });
    return name;
  }

  /** A vector of 64-bit integers, as shapes and axes are given. */
  ints(values: readonly number[]): Value {
    const [name = ""] = this.once(`ints ${values.join()}`, () => {
      const data = BigInt64Array.from(values, BigInt);
      return [this.initializer("i64", [values.length], data)];
    });
    return name;
  }

  initializer(
    dtype: DType | "i64",
    shape: Shape,
    data: Values | BigInt64Array | undefined,
    name: Value = this.fresh(),
  ): Value {
    this.initializers.push({ name, dtype, shape, data });
    return name;
  }
}

/** TensorProto.FLOAT */
export const float32 = 1;
