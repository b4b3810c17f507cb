import { elementwiseLaunch, mostElementwiseExtents } from "../../../kernels/elementwise.ts";
import type { Launch } from "../../../kernels/wgsl.ts";
import type { ProgramSpec, StoredAs, Update } from "../device.ts";
import { InvalidGraphError } from "../errors.ts";
import { type Node, type NodeOf, sizeOf, topologicalOrder } from "../graph.ts";
import { inputsOf, type PlannedInput } from "../program-inputs.ts";
import { mapUpdate, operandsOf, simplifyProgram } from "../updates.ts";
import { FragmentBuilder, type Place } from "./fragment-builder.ts";
import { decideFusion, type Fusion } from "./fusion.ts";
import { lowerMatmul } from "./lower-matmul.ts";
import { ruleOf } from "./lowering.ts";
import type { Lowering, MatmulChoice } from "./lowering-types.ts";
import { lowerRowLogits, mostLogits as usualLogits } from "./row-logits.ts";
import { type BindingLimits, elementBytesOf, type Step, unlimited, type Value } from "./values.ts";

/** A program as launches on symbolic values, before allocation. */
export interface GpuPlan {
  readonly steps: readonly Step[];
  readonly inputs: readonly PlannedInput[];
  readonly outputs: readonly { readonly name: string; readonly value: Value; readonly node: Node }[];
  readonly updates: readonly Update<Value>[];
  /** Gradients in the optimizer's arenas, in arena order. */
  readonly gradients: readonly Value[];
  /** Status words that the host checks, by slot: the node that sets each. */
  readonly statuses: readonly Node[];
}

export interface PlanOptions {
  readonly mostLogits?: number | undefined;
  /** Of the adapter that the plan is for. */
  readonly limits?: BindingLimits | undefined;
  /** How state of a name is held; undefined where it is not known. */
  readonly storedAs?: ((name: string) => StoredAs | undefined) | undefined;
}

/** Verifies, simplifies and lowers a program. Throws `InvalidGraphError`. */
export function planProgram(
  spec: Pick<ProgramSpec, "outputs" | "updates">,
  matmul: MatmulChoice,
  options: PlanOptions = {},
): GpuPlan {
  return new Planner(spec, matmul, options).plan();
}

class Planner implements Lowering {
  readonly matmul: MatmulChoice;
  readonly mostLogits: number;
  readonly limits: BindingLimits;
  readonly #storedAs: NonNullable<PlanOptions["storedAs"]>;
  readonly #outputs: ReadonlyMap<string, Node>;
  readonly #updates: readonly Update[];
  readonly #order: readonly Node[];
  readonly #fusion: Fusion;
  readonly #steps: Step[] = [];
  readonly #values = new Map<Node, Value>();
  readonly #constants = new Map<string, Value>();
  readonly #gradients = new Map<Node, number>();
  readonly #statuses: Node[] = [];
  #writing: Writing | undefined;

  constructor(
    spec: Pick<ProgramSpec, "outputs" | "updates">,
    matmul: MatmulChoice,
    { mostLogits = usualLogits, limits = unlimited, storedAs = () => undefined }: PlanOptions,
  ) {
    this.matmul = matmul;
    this.mostLogits = mostLogits;
    this.limits = limits;
    this.#storedAs = storedAs;
    const { outputs, updates } = simplifyProgram(spec);
    this.#outputs = outputs;
    this.#updates = updates;
    const roots = [...outputs.values(), ...updates.flatMap(operandsOf)];
    this.#order = topologicalOrder(roots);
    this.#fusion = decideFusion(this.#order, new Set(roots), limits);
    this.#placeGradients();
  }

  plan(): GpuPlan {
    const roots = [...this.#outputs.values(), ...this.#updates.flatMap(operandsOf)];
    // In topological order, so that materialised nodes are computed once, before their readers.
    for (const node of this.#order) if (this.#fusion.isStored(node)) this.read(node);
    for (const root of roots) this.read(root);
    return {
      steps: this.#steps,
      inputs: inputsOf(this.#order),
      outputs: [...this.#outputs].map(([name, node]) => ({ name, value: this.#readWide(node), node })),
      updates: this.#updates.map((update) => mapUpdate(update, (node) => this.read(node))),
      gradients: [...this.#gradients.keys()].map((node) => this.read(node)),
      statuses: this.#statuses,
    };
  }

  read(node: Node | undefined): Value {
    if (node === undefined) throw new InvalidGraphError("an operand", "is missing");
    const known = this.#values.get(node) ?? this.#leaf(node);
    if (known !== undefined) return known;
    this.#compute(node);
    const value = this.#values.get(node);
    if (value === undefined) throw new InvalidGraphError(node.op, "was lowered without a result");
    return value;
  }

  /** A value as the host copies it: narrow state is widened into a buffer of its own. */
  #readWide(node: Node): Value {
    const value = this.read(node);
    if (elementBytesOf(value) === 4) return value;
    const builder = this.builder(mostElementwiseExtents);
    const launch = elementwiseLaunch("widened state", builder.build(node), value.size, "f32");
    const wide = { ...this.scratch(value.size), shape: value.shape };
    this.run(launch, [...builder.values, wide]);
    return wide;
  }

  result(node: Node): Value {
    const known = this.#values.get(node);
    if (known !== undefined) return known;
    const index = this.#gradients.get(node);
    const value: Value = {
      shape: node.shape,
      size: sizeOf(node.shape),
      dtype: node.dtype,
      place: index === undefined ? { kind: "transient" } : { kind: "gradient", index },
    };
    this.#values.set(node, value);
    return value;
  }

  scratch(size: number): Value {
    return { shape: [size], size, dtype: "f32", place: { kind: "transient" } };
  }

  constant(key: string, make: () => Float32Array): Value {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const values = make();
    const value: Value = {
      shape: [values.length],
      size: values.length,
      dtype: "f32",
      place: { kind: "constant", values },
    };
    this.#constants.set(key, value);
    return value;
  }

  status(node: Node): Value {
    this.#statuses.push(node);
    return { shape: [1], size: 1, dtype: "i32", place: { kind: "status", slot: this.#statuses.length - 1 } };
  }

  builder(mostExtents: number): FragmentBuilder {
    return new FragmentBuilder(
      {
        inline: (node, place, builder) => this.#inline(node, place, builder),
        valueOf: (node) => this.read(node),
      },
      mostExtents,
    );
  }

  run(launch: Launch, values: readonly Value[]): void {
    this.#steps.push({ launch, values });
  }

  #leaf(node: Node): Value | undefined {
    const { dtype, shape } = node;
    const value = (place: Value["place"]): Value => {
      const stored = place.kind === "state" ? this.#storedAs(place.name) : undefined;
      const made = { shape, size: sizeOf(shape), dtype, stored, place };
      this.#values.set(node, made);
      return made;
    };
    if (node.op === "state" || node.op === "input") return value({ kind: node.op, name: node.attrs.name });
    if (node.op === "constant") return value({ kind: "constant", values: node.attrs.values });
    // A reshape aliases its input, unless it needs a copy of its own.
    if (node.op === "reshape" && !this.#fusion.isInlined(node.inputs[0]) && !this.#fusion.needsCopy(node)) {
      const same = this.read(node.inputs[0]);
      this.#values.set(node, same);
      return same;
    }
    return undefined;
  }

  #compute(node: Node): void {
    // A nested node's kernel is not part of the kernel being built, so save and restore the outer one.
    const outer = this.#writing;
    this.#writing = undefined;
    const rule = ruleOf(node);
    const logits = this.#fusion.rowLogitsOf(node);
    if (logits !== undefined) lowerRowLogits(logits, node, this);
    else if (rule.kind === "kernel") rule.lower(node, this);
    else if (rule.kind === "element") this.#computeElements(node);
    else throw new InvalidGraphError(node.op, "is a leaf that was not bound");
    this.#writing = outer;
  }

  /** Plans one kernel for a node and everything inlined into it: its own kernel, or a product's epilogue. */
  #computeElements(node: Node): void {
    const writing: Writing = { root: node, product: undefined };
    this.#writing = writing;
    const builder = this.builder(mostElementwiseExtents);
    const fragment = builder.build(node);
    const result = this.result(node);
    if (writing.product !== undefined) {
      // A product's kernel has no room for its epilogue's parameters.
      const fixed = this.builder(0);
      lowerMatmul(writing.product, this, { epilogue: fixed.build(node), values: fixed.values, result });
      return;
    }
    const launch = elementwiseLaunch(`fused ${node.op}`, fragment, sizeOf(node.shape), node.dtype);
    this.run(launch, [...builder.values, result]);
  }

  #inline(node: Node, place: Place, builder: FragmentBuilder): string | undefined {
    const writing = this.#writing;
    if (node !== writing?.root) {
      if (this.#values.has(node)) return undefined;
      if (node.op === "matmul" && writing !== undefined && this.#mayAbsorb(node, place, writing)) {
        writing.product = node;
        return "value";
      }
      if (!this.#fusion.isInlined(node)) return undefined;
    }
    const rule = ruleOf(node);
    return rule.kind === "element" ? rule.element(node, place, builder, this) : undefined;
  }

  /** Whether a product can fuse here: an epilogue must read each product element once, at its own index. */
  #mayAbsorb(node: Node, place: Place, { product }: Writing): boolean {
    return this.#fusion.isAbsorbable(node) && place.linear === "at" && (product === undefined || product === node);
  }

  /** Assigns gradients that only the optimizer reads to arenas, so that one launch steps over all of them. */
  #placeGradients(): void {
    const read = new Set(this.#order.flatMap((node) => node.inputs));
    for (const update of this.#updates) {
      if (update.kind !== "adamW") continue;
      for (const { gradient } of update.parameters) {
        const source = this.#sourceOf(gradient, read);
        if (source === undefined || this.#gradients.has(source)) continue;
        this.#gradients.set(source, this.#gradients.size);
      }
    }
  }

  /** The node that computes a gradient (through a reshape), if nothing else reads either. */
  #sourceOf(gradient: Node, read: ReadonlySet<Node>): Node | undefined {
    if (read.has(gradient)) return undefined;
    if (gradient.op !== "reshape") return ruleOf(gradient).kind === "leaf" ? undefined : gradient;
    const [input] = gradient.inputs;
    const onlyReader = this.#order.filter((node) => input !== undefined && node.inputs.includes(input)).length === 1;
    if (input === undefined || !onlyReader || this.#fusion.isInlined(input)) return gradient;
    return ruleOf(input).kind === "leaf" || input.op === "reshape" ? undefined : input;
  }
}

/** The kernel being built: the node that it writes, and the product that it became the epilogue of. */
interface Writing {
  readonly root: Node;
  product: NodeOf<"matmul"> | undefined;
}
