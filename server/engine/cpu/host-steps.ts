import { DeviceError } from "../errors.ts";
import type { Values } from "../graph.ts";
import { clearRows, sampleRows, scatterAddRows } from "./host.loops.ts";
import type { HostStep, Operand } from "./plan.ts";

/** A step's access to its values while a program runs. */
export interface StepContext {
  values(operand: Operand): Values;
  result(index: number): Values;
  /** Rows that the last run wrote to a table that starts from zeros, by buffer. */
  readonly touched: Map<number, Int32Array>;
}

export function runHostStep<K extends HostStep["kind"]>(step: StepOf<K>, context: StepContext): void {
  const rule: StepRule<K> = stepRules[step.kind];
  rule(step, context);
}

type StepOf<K extends HostStep["kind"]> = Extract<HostStep, { kind: K }> & { readonly kind: K };
type StepRule<K extends HostStep["kind"]> = (step: StepOf<K>, context: StepContext) => void;

const stepRules: { readonly [K in HostStep["kind"]]: StepRule<K> } = {
  scatterAddRows: ({ base, ids, rows, result, width }, { values, result: resultOf, touched }) => {
    const table = floats(resultOf(result));
    const rowIds = ints(values(ids));
    if (base === undefined) {
      clearRows(table, touched.get(result) ?? new Int32Array(), width);
      touched.delete(result);
    } else if (!(base.from === "buffer" && base.index === result)) table.set(floats(values(base)));
    scatterAddRows(table, rowIds, floats(values(rows)), width);
    if (base === undefined) touched.set(result, rowIds.slice());
  },
  sampleRows: ({ probs, uniforms, settings, result, vocabulary, bannable, limit }, { values, result: resultOf }) => {
    const [topK = 0, topP = 1, greedy = 0, ban = 0] = floats(values(settings));
    const chosen = { topK, topP, greedy: greedy !== 0, banned: ban === 0 ? [] : bannable, limit };
    resultOf(result).set(sampleRows(floats(values(probs)), floats(values(uniforms)), chosen, vocabulary));
  },
};

function floats(values: Values): Float32Array {
  if (!(values instanceof Float32Array)) throw new DeviceError("got i32 values where f32 ones are needed");
  return values;
}

function ints(values: Values): Int32Array {
  if (!(values instanceof Int32Array)) throw new DeviceError("got f32 values where i32 ones are needed");
  return values;
}
