/** Messages between the CPU device's two threads. */

import { messageOf } from "../../common/errors.ts";
import type { FixedEntry, ShareOptions, StateEntry, StoredAs } from "../device.ts";
import { DeviceError, InputMismatchError, NonFiniteError } from "../errors.ts";
import type { Values } from "../graph.ts";
import type { Results } from "./buffers.ts";
import type { OnnxModelFile, OnnxModelRun } from "./onnx-models.ts";
import type { CpuPlan } from "./plan.ts";
import type { RuntimeChoice } from "./runtime.ts";

/** A store whose values another one is to have too, under other names. */
export interface SharedStore {
  readonly store: number;
  readonly prefix: ShareOptions["prefix"];
}

/** Requests by kind, with their answers. */
export interface Calls {
  admitState: { ask: { bytes: number }; answer: undefined };
  admitFixed: { ask: { bytes: number; stored: ReadonlySet<StoredAs> }; answer: undefined };
  createFixed: { ask: { entries: readonly FixedEntry[]; shared?: SharedStore }; answer: number };
  createState: { ask: { entries: readonly StateEntry[] }; answer: number };
  readState: { ask: { store: number; name: string }; answer: Values };
  writeState: { ask: { store: number; name: string; values: Values }; answer: undefined };
  disposeState: { ask: { store: number }; answer: undefined };
  compile: { ask: { plan: CpuPlan; stores: readonly number[] }; answer: number };
  run: { ask: { program: number; inputs: Readonly<Results> }; answer: Results };
  disposeProgram: { ask: { program: number }; answer: undefined };
  openModel: { ask: OnnxModelFile; answer: number };
  runModel: { ask: OnnxModelRun & { model: number }; answer: Float32Array };
  disposeModel: { ask: { model: number }; answer: undefined };
  runtimeChoice: { ask: undefined; answer: RuntimeChoice };
}

export type CallKind = keyof Calls;
export type Request = {
  [K in CallKind]: { readonly id: number; readonly kind: K; readonly ask: Calls[K]["ask"] };
}[CallKind];
/** Tells the thread to end after the current request; queued ones are dropped. */
export const closeRequest = "close";

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failure: Failure };

/** An error as plain data; `toFailure` and `toError` are inverse for the errors that callers distinguish. */
export type Failure =
  | {
      readonly kind: "non-finite";
      readonly tensor: string;
      readonly step: number | undefined;
      readonly value: number;
      readonly message: string;
    }
  | { readonly kind: "input"; readonly message: string }
  | { readonly kind: "device"; readonly message: string };

export function toFailure(error: unknown): Failure {
  const message = messageOf(error);
  if (error instanceof NonFiniteError)
    return { kind: "non-finite", tensor: error.tensor, step: error.step, value: error.value, message };
  if (error instanceof InputMismatchError) return { kind: "input", message };
  return { kind: "device", message };
}

export function toError(failure: Failure): Error {
  switch (failure.kind) {
    case "non-finite":
      return new NonFiniteError(failure.tensor, failure.step, failure.value);
    case "input":
      return InputMismatchError.fromMessage(failure.message);
    case "device":
      return new DeviceError(failure.message);
    default:
      failure satisfies never;
      throw new TypeError("unknown failure");
  }
}
