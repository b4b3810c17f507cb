/** Helpers over the operands of updates, generic in how operands are represented. */
import type { AdamWEntry, ProgramSpec, Update } from "./device.ts";
import type { Node } from "./graph.ts";
import { simplify } from "./simplify.ts";
import { verify } from "./verify.ts";

/** Applies a function to every operand of an update. */
export function mapUpdate<A, B>(update: Update<A>, f: (operand: A) => B): Update<B> {
  switch (update.kind) {
    case "assign":
    case "accumulate":
      return { ...update, target: f(update.target), value: f(update.value) };
    case "writeAt":
      return { ...update, target: f(update.target), value: f(update.value), start: f(update.start) };
    case "adamW":
      return {
        ...update,
        settings: f(update.settings),
        parameters: update.parameters.map((entry) => mapEntry(entry, f)),
      };
    default:
      update satisfies never;
      throw new TypeError("unknown update");
  }
}

function mapEntry<A, B>(
  { name, parameter, gradient, firstMoment, secondMoment }: AdamWEntry<A>,
  f: (operand: A) => B,
): AdamWEntry<B> {
  return {
    name,
    parameter: f(parameter),
    gradient: f(gradient),
    firstMoment: f(firstMoment),
    secondMoment: f(secondMoment),
  };
}

export function operandsOf(update: Update): Node[] {
  const operands: Node[] = [];
  mapUpdate(update, (node) => operands.push(node));
  return operands;
}

/** Verifies and simplifies a program's outputs and updates. Throws `InvalidGraphError`. */
export function simplifyProgram({ outputs, updates = [] }: Pick<ProgramSpec, "outputs" | "updates">): {
  readonly outputs: ReadonlyMap<string, Node>;
  readonly updates: readonly Update[];
} {
  const roots = [...Object.values(outputs), ...updates.flatMap(operandsOf)];
  verify(roots);
  const simplified = simplify(roots);
  const replacement = new Map(roots.map((root, index) => [root, simplified[index] ?? root]));
  const replace = (node: Node): Node => replacement.get(node) ?? node;
  return {
    outputs: new Map(Object.entries(outputs).map(([name, node]) => [name, replace(node)])),
    updates: updates.map((update) => mapUpdate(update, replace)),
  };
}
