import { type Node, type NodeOf, type OpAttrs, type OpKind, sameShape, topologicalOrder } from "./graph.ts";
import { make } from "./ops.ts";

/**
 * The same outputs after common-subexpression elimination and removal of identity operators. Gradient rules may
 * therefore favour readability and repeat expressions.
 */
export function simplify(outputs: readonly Node[]): Node[] {
  const rewritten = new Map<Node, Node>();
  const known = new Map<string, Node>();
  const ids = new Map<Node, number>();
  for (const node of topologicalOrder(outputs)) {
    const rebuilt = withInputs(
      node,
      node.inputs.map((input) => rewritten.get(input) ?? input),
    );
    const candidate = withoutEffect(rebuilt) ?? rebuilt;
    const key = keyOf(candidate, ids);
    const unique = known.get(key) ?? candidate;
    known.set(key, unique);
    if (!ids.has(unique)) ids.set(unique, ids.size);
    rewritten.set(node, unique);
  }
  return outputs.map((node) => rewritten.get(node) ?? node);
}

function withInputs<K extends OpKind>(node: NodeOf<K>, inputs: readonly Node[]): Node {
  return make(node.op, inputs, node.attrs);
}

/** Rules by operator that replace a node by an equal, cheaper one; operators that always compute have none. */
const identities: {
  readonly [K in OpKind]?: (inputs: readonly Node[], attrs: OpAttrs[K], self: NodeOf<K>) => Node | undefined;
} = {
  add: ([a, b], _, self) => {
    if (isFill(b, 0) && sameAs(a, self)) return a;
    if (isFill(a, 0) && sameAs(b, self)) return b;
    return withScalarFill("add", [a, b], self);
  },
  mul: ([a, b], _, self) => {
    if (isFill(b, 1) && sameAs(a, self)) return a;
    if (isFill(a, 1) && sameAs(b, self)) return b;
    return withScalarFill("mul", [a, b], self);
  },
  stopGradient: ([x]) => (x?.op === "stopGradient" || x?.op === "fill" ? x : undefined),
  affine: ([x], { mul, add }) => {
    if (x?.op === "fill") return make("fill", [], { shape: x.shape, value: mul * x.attrs.value + add });
    return mul === 1 && add === 0 ? x : undefined;
  },
  reshape: ([x], { shape }) => {
    if (x === undefined || sameShape(x.shape, shape)) return x;
    if (x.op === "fill") return make("fill", [], { shape, value: x.attrs.value });
    return x.op === "reshape" ? make("reshape", x.inputs, { shape }) : undefined;
  },
  broadcastTo: ([x], { shape }) => {
    if (x?.op === "fill") return make("fill", [], { shape, value: x.attrs.value });
    return x !== undefined && sameShape(x.shape, shape) ? x : undefined;
  },
};

function withoutEffect<K extends OpKind>(node: NodeOf<K>): Node | undefined {
  const rule = identities[node.op] as
    | ((inputs: readonly Node[], attrs: OpAttrs[K], self: NodeOf<K>) => Node | undefined)
    | undefined;
  return rule?.(node.inputs, node.attrs, node);
}

/** Replaces a uniform `fill` operand of addition or multiplication by its scalar, which needs no broadcast tensor. */
function withScalarFill(
  op: "add" | "mul",
  [a, b]: readonly (Node | undefined)[],
  self: { shape: readonly number[] },
): Node | undefined {
  if (a === undefined || b === undefined) return undefined;
  const scalar = (node: Node): Node | undefined =>
    node.op === "fill" && node.shape.length > 0 ? make("fill", [], { shape: [], value: node.attrs.value }) : undefined;
  const [left, right] = [scalar(a), scalar(b)];
  if (right !== undefined && sameAs(a, self)) return make(op, [a, right], {});
  if (left !== undefined && sameAs(b, self)) return make(op, [left, b], {});
  return undefined;
}

function isFill(node: Node | undefined, value: number): boolean {
  return node?.op === "fill" && node.attrs.value === value;
}

function sameAs(node: Node | undefined, self: { shape: readonly number[] }): boolean {
  return node !== undefined && sameShape(node.shape, self.shape);
}

function keyOf(node: Node, ids: ReadonlyMap<Node, number>): string {
  const attrs = JSON.stringify(node.attrs, (_, value: unknown) => plainValue(value));
  return `${node.op}(${node.inputs.map((input) => ids.get(input)).join(",")})${attrs}`;
}

/** JSON has no infinities, and would write out every element of an array. */
function plainValue(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return identityOf(value);
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

const viewIdentities = new WeakMap<object, number>();
let nextIdentity = 0;

/** Literal arrays are compared by identity: equal contents in two arrays stay two constants. */
function identityOf(values: object): number {
  const known = viewIdentities.get(values);
  if (known !== undefined) return known;
  nextIdentity += 1;
  viewIdentities.set(values, nextIdentity);
  return nextIdentity;
}
