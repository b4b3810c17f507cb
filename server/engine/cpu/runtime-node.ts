import type * as Ort from "onnxruntime-node";
import { NarrowWeightsError } from "../errors.ts";
import type { Bound, ModelSession, ModelSpec, Runtime } from "./runtime.ts";

/** ONNX Runtime through onnxruntime-node, which writes outputs in place and then copies them into arrays of its own. */
export async function openNodeRuntime(): Promise<Runtime> {
  const ort = await import("onnxruntime-node");
  return { readsNarrow: false, createSession: (spec) => createSession(ort, spec) };
}

async function createSession(ort: typeof Ort, { model, external, threads }: ModelSpec): Promise<ModelSession> {
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    // By its pattern of the first run, ONNX Runtime would take all memory once more in the second.
    enableMemPattern: false,
    logSeverityLevel: 3,
    externalData: external.map(({ name, bytes }) => ({ path: name, data: bytes })),
    // As `sessionEntries` of runtime-c-api.ts.
    extra: {
      session: {
        intra_op: { allow_spinning: "1", spin_duration_us: "25" },
        force_spinning_stop: "1",
        set_denormal_as_zero: "1",
      },
    },
  });
  const tensors = (bounds: readonly Bound[]): Record<string, Ort.Tensor> =>
    Object.fromEntries(bounds.map(({ onnxName, spec, values }) => [onnxName, tensorOf(ort, spec, values)]));
  return {
    run: async (feeds, fetches) => {
      await session.run(tensors(feeds), tensors(fetches));
    },
    release: () => session.release(),
  };
}

/** Throws `NarrowWeightsError` for F16 and BF16, which the package does not take as their bits. */
function tensorOf(ort: typeof Ort, { dtype, shape }: Bound["spec"], values: Bound["values"]): Ort.Tensor {
  if (dtype === "f16" || dtype === "bf16" || values instanceof Uint16Array) throw new NarrowWeightsError();
  return new ort.Tensor(tensorTypes[dtype], values, shape);
}

const tensorTypes = { f32: "float32", i32: "int32", i64: "int64" } as const;
