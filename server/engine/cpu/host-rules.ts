import type { Node, NodeOf, OpKind } from "../graph.ts";
import type { HostStep, Operand } from "./plan.ts";

/** Operators that plain loops compute after the ONNX model has run, where no ONNX node depends on them. */
export type HostOp = HostStep["kind"] & OpKind;
export type HostNode = { [K in HostOp]: NodeOf<K> }[HostOp];

/** A step's access to its operands and result while a program is planned. */
export interface HostPlanner {
  operand(node: Node | undefined): Operand;
  /** The buffer of the node's result, created on first use. */
  result(node: Node): number;
  /** Lets `node` overwrite `operand` if nothing else reads it. */
  takeOver(node: Node, operand: Node): void;
}

interface HostRule<K extends HostOp> {
  /** Inputs that must be computed before the step. */
  reads(node: NodeOf<K>): readonly Node[];
  plan(node: NodeOf<K>, planner: HostPlanner): Extract<HostStep, { kind: K }>;
}

const hostRules: { readonly [K in HostOp]: HostRule<K> } = {
  scatterAddRows: {
    reads: ({ inputs }) => inputs.filter((input, at) => at > 0 || !isZero(input)),
    plan: (node, planner) => {
      const [base, ids, rows] = node.inputs;
      const fromZero = base === undefined || isZero(base);
      if (!fromZero) planner.takeOver(node, base);
      const operands = {
        ids: planner.operand(ids),
        rows: planner.operand(rows),
        base: fromZero ? undefined : planner.operand(base),
      };
      return { kind: "scatterAddRows", ...operands, result: planner.result(node), width: node.shape[1] ?? 0 };
    },
  },
  sampleRows: {
    reads: ({ inputs }) => inputs,
    plan: (node, planner) => {
      const [probs, uniforms, settings] = node.inputs;
      const operands = {
        probs: planner.operand(probs),
        uniforms: planner.operand(uniforms),
        settings: planner.operand(settings),
      };
      return {
        kind: "sampleRows",
        ...operands,
        result: planner.result(node),
        vocabulary: probs?.shape[1] ?? 0,
        ...node.attrs,
      };
    },
  },
};

export function isHostNode(node: Node): node is HostNode {
  return Object.hasOwn(hostRules, node.op);
}

export function hostReads<K extends HostOp>(node: NodeOf<K>): readonly Node[] {
  const rule: HostRule<K> = hostRules[node.op];
  return rule.reads(node);
}

export function planHostStep<K extends HostOp>(node: NodeOf<K>, planner: HostPlanner): HostStep {
  const rule: HostRule<K> = hostRules[node.op];
  return rule.plan(node, planner);
}

function isZero(node: Node): boolean {
  return node.op === "fill" && node.attrs.value === 0;
}
