import type { ProgramSpec, StoredAs, Update } from "../device.ts";
import { InvalidGraphError } from "../errors.ts";
import { type Node, type NodeOf, topologicalOrder } from "../graph.ts";
import { Emitter, type NarrowLeaf } from "../onnx/emitter.ts";
import { lowerNode } from "../onnx/lowering.ts";
import { encodeModel, type OnnxModel } from "../onnx/model-writer.ts";
import { type BufferSpec, inputsOf } from "../program-inputs.ts";
import { mapUpdate, operandsOf, simplifyProgram } from "../updates.ts";
import { type HostNode, type HostPlanner, hostReads, isHostNode, planHostStep } from "./host-rules.ts";
import type { CpuPlan, Feed, Fetch, HostStep, Operand } from "./plan.ts";

/** Verifies, simplifies and lowers a program: one ONNX model, then loops, then updates. */
export function planProgram(spec: PlanSpec): CpuPlan {
  return new Planner(spec).plan();
}

/** A program without its stores; frozen and fixed state is given by name. */
export interface PlanSpec extends Pick<ProgramSpec, "outputs" | "updates"> {
  readonly frozenNames?: ReadonlySet<string>;
  readonly fixed?: ReadonlyMap<string, StoredAs>;
}

class Planner {
  readonly #frozenNames: ReadonlySet<string>;
  readonly #fixed: ReadonlyMap<string, StoredAs>;
  readonly #outputs: ReadonlyMap<string, Node>;
  readonly #updates: readonly Update[];
  readonly #emitter = new Emitter();
  readonly #buffers: BufferSpec[] = [];
  readonly #bufferOf = new Map<Node, number>();
  readonly #fetches: Fetch[] = [];
  readonly #feeds: Feed[] = [];
  readonly #frozenFeeds: Feed[] = [];
  readonly #steps: HostStep[] = [];

  constructor({ outputs, updates = [], frozenNames = new Set(), fixed = new Map() }: PlanSpec) {
    const program = simplifyProgram({ outputs, updates });
    this.#frozenNames = frozenNames;
    this.#fixed = fixed;
    this.#outputs = program.outputs;
    this.#updates = program.updates;
  }

  plan(): CpuPlan {
    const roots = [...this.#outputs.values(), ...this.#updates.flatMap(operandsOf)];
    const order = topologicalOrder(roots);
    const hostNodes = terminalHostNodes(order);
    const lowered = this.#lower(order, roots, hostNodes);
    const hostPlanner = this.#hostPlanner(hostNodes, roots);
    for (const node of hostNodes) this.#steps.push(planHostStep(node, hostPlanner));
    return {
      model: lowered.nodes.length === 0 ? undefined : encodeModel(lowered),
      feeds: this.#feeds,
      frozen: this.#frozenFeeds,
      fetches: this.#fetches,
      buffers: this.#buffers,
      steps: this.#steps,
      updates: this.#updates.map((update) => mapUpdate(update, (node) => this.#operand(node))),
      inputs: inputsOf(order),
      outputs: [...this.#outputs].map(([name, node]) => ({ name, operand: this.#operand(node), spec: specOf(node) })),
    };
  }

  /** Lowers the ONNX part: everything that a root or a host loop needs, except leaves and the loops themselves. */
  #lower(order: readonly Node[], roots: readonly Node[], hostNodes: ReadonlySet<Node>): OnnxModel {
    const wanted = [...roots, ...[...hostNodes].filter(isHostNode).flatMap((node) => hostReads(node))];
    const placed = inputsToPlace(this.#updates);
    const fetched = [...new Set(wanted)].filter((node) => placed.has(node) || !(isLeaf(node) || hostNodes.has(node)));
    const inside = new Set(topologicalOrder(fetched));
    for (const node of order) if (inside.has(node)) this.#lowerOne(node);
    const unclaimed = new Set(this.#emitter.nodes.flatMap((node) => node.outputs));
    for (const node of fetched) this.#fetches.push(this.#fetchOf(node, unclaimed));
    return {
      nodes: this.#emitter.nodesFor(this.#fetches.map(({ onnxName }) => onnxName)),
      initializers: this.#emitter.initializers,
      inputs: this.#feeds.map(({ onnxName, spec }) => ({ name: onnxName, ...spec })),
      outputs: this.#fetches.map(({ onnxName, spec }) => ({ name: onnxName, ...spec })),
    };
  }

  /**
   * An output, which must come from an ONNX node and have a name of its own: a constant, an input that is passed on, or a
   * value of two graph nodes (a shared sub-expression) is copied. One that was reshaped is fetched as it was before.
   */
  #fetchOf(node: Node, unclaimed: Set<string>): Fetch {
    const [index, value, spec] = [this.#buffer(node), this.#emitter.valueOf(node), specOf(node)];
    const origin = this.#emitter.originOf(value);
    if (origin !== undefined && unclaimed.delete(origin.value))
      return { onnxName: origin.value, index, spec: { ...spec, shape: origin.shape } };
    const onnxName = unclaimed.delete(value) ? value : this.#emitter.emit("Identity", [value]);
    return { onnxName, index, spec };
  }

  #lowerOne(node: Node): void {
    if (!isLeaf(node)) {
      this.#emitter.bind(node, lowerNode(node, this.#emitter));
      return;
    }
    const onnxName = `${node.op}:${node.attrs.name}`;
    const feed: Feed = { onnxName, operand: { from: node.op, name: node.attrs.name }, spec: specOf(node) };
    const stored = node.op === "state" ? this.#fixed.get(node.attrs.name) : undefined;
    if (stored === "f16" || stored === "bf16") {
      this.#emitter.bindNarrow(node, this.#narrowLeaf(feed, stored));
      return;
    }
    // An initializer would be a copy of the program's own, and fixed state is to be held once.
    const frozen = stored === undefined && node.op === "state" && this.#frozenNames.has(node.attrs.name);
    if (frozen) this.#emitter.initializer(node.dtype, node.shape, undefined, onnxName);
    (frozen ? this.#frozenFeeds : this.#feeds).push(feed);
    this.#emitter.bind(node, onnxName);
  }

  /** A leaf whose rows are fed as they are held, by whatever ranges the program reads. */
  #narrowLeaf(whole: Feed, dtype: StoredAs): NarrowLeaf {
    const fed = new Set<string>();
    const [rows = 0, ...rest] = whole.spec.shape;
    return {
      rows: (start, end) => {
        const isWhole = start === 0 && end === rows;
        const onnxName = isWhole ? whole.onnxName : `${whole.onnxName} ${start}-${end}`;
        const spec = { shape: [end - start, ...rest], dtype };
        if (!fed.has(onnxName)) this.#feeds.push({ ...whole, onnxName, spec, ...(isWhole ? {} : { fromRow: start }) });
        fed.add(onnxName);
        return onnxName;
      },
    };
  }

  /** The planner for host loops. A loop may overwrite an operand that it alone reads. */
  #hostPlanner(hostNodes: ReadonlySet<Node>, roots: readonly Node[]): HostPlanner {
    const readers = (operand: Node): number => [...hostNodes].filter((node) => node.inputs.includes(operand)).length;
    return {
      operand: (node) => this.#operand(node),
      result: (node) => this.#buffer(node),
      takeOver: (node, operand) => {
        if (!isLeaf(operand) && !roots.includes(operand) && readers(operand) === 1)
          this.#bufferOf.set(node, this.#buffer(operand));
      },
    };
  }

  #operand(node: Node | undefined): Operand {
    if (node === undefined) throw new InvalidGraphError("an operand", "is missing");
    if (isLeaf(node) && !this.#bufferOf.has(node)) return { from: node.op, name: node.attrs.name };
    return { from: "buffer", index: this.#buffer(node) };
  }

  #buffer(node: Node): number {
    const known = this.#bufferOf.get(node);
    if (known !== undefined) return known;
    this.#buffers.push(specOf(node));
    this.#bufferOf.set(node, this.#buffers.length - 1);
    return this.#buffers.length - 1;
  }
}

/** Inputs that an update's kernels read, which must therefore be in the device's memory. */
function inputsToPlace(updates: readonly Update[]): Set<Node> {
  const read = updates.flatMap((update) => {
    if (update.kind === "accumulate") return [update.value];
    return update.kind === "adamW" ? update.parameters.map(({ gradient }) => gradient) : [];
  });
  return new Set(read.filter((node) => node.op === "input"));
}

/** Nodes that loops compute better than ONNX, if no ONNX node depends on them. */
function terminalHostNodes(order: readonly Node[]): Set<HostNode> {
  const used = new Set(order.flatMap((node) => node.inputs));
  return new Set(order.filter(isHostNode).filter((node) => !used.has(node)));
}

function isLeaf(node: Node): node is NodeOf<"input"> | NodeOf<"state"> {
  return node.op === "input" || node.op === "state";
}

function specOf(node: { shape: readonly number[]; dtype: BufferSpec["dtype"] } | undefined): BufferSpec {
  if (node === undefined) throw new InvalidGraphError("a buffer", "is missing");
  return { shape: node.shape, dtype: node.dtype };
}
