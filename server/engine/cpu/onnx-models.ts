/** ONNX models that others made, on the CPU device's thread, beside its programs. */
import { messageOf } from "../../common/errors.ts";
import { DeviceError } from "../errors.ts";
import { type Shape, sizeOf } from "../graph.ts";
import type { Bound, ModelSession, Runtime } from "./runtime.ts";

/** A model's bytes, and those of the files that it names for its weights: ONNX Runtime opens no file. */
export interface OnnxModelFile {
  readonly model: Uint8Array;
  readonly external: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** Integers for inputs of one shape, by the model's names, and the output of 32-bit floats that is wanted. */
export interface OnnxModelRun {
  readonly inputs: Readonly<Record<string, Int32Array | BigInt64Array>>;
  readonly shape: Shape;
  readonly output: { readonly name: string; readonly shape: Shape };
}

/** A loaded model. */
export interface OnnxModel {
  /** The output. Rejects with `DeviceError` if the model takes or gives another shape or type. */
  run(run: OnnxModelRun): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** Loaded models by number. */
export class OnnxModels {
  readonly #runtime: Runtime;
  readonly #threads: number;
  readonly #sessions = new Map<number, ModelSession>();
  #next = 0;

  constructor({ runtime, threads }: { readonly runtime: Runtime; readonly threads: number }) {
    this.#runtime = runtime;
    this.#threads = threads;
  }

  async open(file: OnnxModelFile): Promise<number> {
    try {
      const session = await this.#runtime.createSession({ ...file, threads: this.#threads });
      this.#next += 1;
      this.#sessions.set(this.#next, session);
      return this.#next;
    } catch (cause) {
      throw new DeviceError(`ONNX Runtime refused a model: ${messageOf(cause)}`, { cause });
    }
  }

  async run(model: number, { inputs, shape, output }: OnnxModelRun): Promise<Float32Array> {
    const session = this.#sessions.get(model);
    if (session === undefined) throw new DeviceError("the model was disposed of; open it again");
    const feeds = Object.entries(inputs).map(
      ([onnxName, values]): Bound => ({
        onnxName,
        values,
        spec: { shape, dtype: values instanceof BigInt64Array ? "i64" : "i32" },
      }),
    );
    const values = new Float32Array(sizeOf(output.shape));
    await session.run(feeds, [{ onnxName: output.name, values, spec: { shape: output.shape, dtype: "f32" } }]);
    return values;
  }

  async dispose(model: number): Promise<void> {
    const session = this.#sessions.get(model);
    this.#sessions.delete(model);
    await session?.release();
  }

  async close(): Promise<void> {
    for (const model of [...this.#sessions.keys()]) await this.dispose(model);
  }
}
