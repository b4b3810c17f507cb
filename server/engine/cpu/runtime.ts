/** ONNX Runtime as the CPU device uses it, however it is reached. */
import { DeviceError } from "../errors.ts";
import type { Shape, Values } from "../graph.ts";
import type { TensorSpec } from "./plan.ts";

/** The ways to reach ONNX Runtime: its C API, or its package for Node, which copies every output once more. */
export const runtimeKinds = ["c-api", "onnxruntime-node"] as const;
export type RuntimeKind = (typeof runtimeKinds)[number];

/** ONNX Runtime, on the thread that opened it. Both kinds compute the same bytes and fail with the same messages. */
export interface Runtime {
  createSession(model: ModelSpec): Promise<ModelSession>;
  /** Whether sessions read F16 and BF16 values. */
  readonly readsNarrow: boolean;
}

export interface ModelSpec {
  /** The ONNX model's bytes. */
  readonly model: Uint8Array;
  /** Bytes of the initializers that the model names as external; only read while the session is created. */
  readonly external: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** Threads of the matrix kernels. */
  readonly threads: number;
  /**
   * The model widens F16 or BF16 inputs, each anew wherever it uses them: ONNX Runtime must not merge these, or every wide
   * copy would stay in memory from its first use to its last.
   */
  readonly widens?: boolean;
}

export interface ModelSession {
  /** Runs the model: reads the feeds and writes the fetches in place. Blocks the thread. */
  run(feeds: readonly Bound[], fetches: readonly Bound[]): Promise<void>;
  release(): Promise<void>;
}

/** Values that a run reads or writes under a name of the model. */
export interface Bound {
  readonly onnxName: string;
  readonly spec: TensorSpec | { readonly shape: Shape; readonly dtype: "i64" };
  readonly values: BoundValues;
}

/** F16 and BF16 as the 16 bits of each value; 64-bit integers only for models of others. */
export type BoundValues = Values | Uint16Array | BigInt64Array;

/** Which kind a device uses; `reason` says why it is not the C API. */
export interface RuntimeChoice {
  readonly kind: RuntimeKind;
  readonly reason?: string;
}

/** What the device's thread is started with. */
export interface WorkerOptions {
  /** Threads of the matrix kernels. */
  readonly threads: number;
  /** Undefined: the thread chooses. */
  readonly runtime: RuntimeKind | undefined;
}

/** The environment variable that chooses the kind. */
export const runtimeVariable = "LFP_ONNX_RUNTIME";

/** `LFP_ONNX_RUNTIME` names no way to reach ONNX Runtime. */
export class RuntimeVariableError extends DeviceError {
  constructor(name: string) {
    super(`${runtimeVariable} is '${name}'; expected ${runtimeKinds.join(" or ")}`);
  }
}

/** The kind that the environment asks for; undefined: the device chooses. Throws `RuntimeVariableError` for an unknown one. */
export function wishedRuntime(env: Readonly<Record<string, string | undefined>>): RuntimeKind | undefined {
  const name = env[runtimeVariable];
  if (name === undefined || name === "") return undefined;
  const kind = runtimeKinds.find((known) => known === name);
  if (kind === undefined) throw new RuntimeVariableError(name);
  return kind;
}
