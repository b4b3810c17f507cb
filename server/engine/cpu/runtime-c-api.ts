import { type Address, loadOrtApi, type OrtApi } from "./ort-api.ts";
import type { Bound, BoundValues, ModelSession, ModelSpec, Runtime } from "./runtime.ts";

/**
 * ONNX Runtime through its C API: inputs and outputs are bound where they are in memory, and nothing is copied.
 *
 * @throws {DeviceError} or koffi's error where the API cannot be reached
 */
export async function openCApiRuntime(): Promise<Runtime> {
  const api = await loadOrtApi();
  // One for the process, however many are created; never released, as sessions may not outlive it.
  const env = api.created((out) => api.createEnv(logErrors, "lfp", out));
  const memory = api.created((out) => api.createCpuMemoryInfo(deviceAllocator, defaultMemory, out));
  return {
    readsNarrow: true,
    createSession: async (spec) => new CApiSession(api, memory, createSession(api, env, spec)),
  };
}

/** ORT_LOGGING_LEVEL_ERROR */
const logErrors = 3;
/** OrtDeviceAllocator and OrtMemTypeDefault: what onnxruntime-node declares its tensors' memory to be. */
const deviceAllocator = 0;
const defaultMemory = 0;
/** ORT_SEQUENTIAL */
const sequential = 0;
/** ORT_ENABLE_ALL */
const allOptimizations = 99;

/**
 * Workers spin between the operators of a run, as waking them takes longer than a small operator, but so briefly that it costs
 * little where other programs want the cores; after a run they sleep, and leave the cores to the loops between two models.
 * Measured in training the starter on two cores: 5 % less time than without spinning, and with ONNX Runtime's own default
 * three times as much where the cores are busy. Denormals are slow.
 */
const sessionEntries = {
  "session.intra_op.allow_spinning": "1",
  "session.intra_op.spin_duration_us": "25",
  "session.force_spinning_stop": "1",
  "session.set_denormal_as_zero": "1",
} as const;

/** Optimizations that a model with `widens` does without. */
const mergingOptimizer = "CommonSubexpressionElimination";

function createSession(api: OrtApi, env: Address, { model, external, threads, widens = false }: ModelSpec): Address {
  const options = api.created((out) => api.createSessionOptions(out));
  try {
    api.check(api.setIntraOpNumThreads(options, threads));
    api.check(api.setInterOpNumThreads(options, 1));
    api.check(api.setSessionExecutionMode(options, sequential));
    api.check(api.setSessionGraphOptimizationLevel(options, allOptimizations));
    // By its pattern of the first run, ONNX Runtime would take all memory once more in the second.
    api.check(api.disableMemPattern(options));
    api.check(api.setSessionLogSeverityLevel(options, logErrors));
    for (const [key, value] of Object.entries(sessionEntries))
      api.check(api.addSessionConfigEntry(options, key, value));
    if (widens)
      api.check(api.addSessionConfigEntry(options, "optimization.disable_specified_optimizers", mergingOptimizer));
    if (external.length > 0) addExternal(api, options, external);
    return api.created((out) => api.createSessionFromArray(env, model, model.byteLength, options, out));
  } finally {
    api.releaseSessionOptions(options);
  }
}

function addExternal(api: OrtApi, options: Address, external: ModelSpec["external"]): void {
  const names = external.map(({ name }) => fileName(name));
  const addresses = (memories: readonly Uint8Array[]): BigUint64Array =>
    BigUint64Array.from(memories, (memory) => api.addressOf(memory));
  const lengths = BigUint64Array.from(external, ({ bytes }) => BigInt(bytes.byteLength));
  const buffers = addresses(external.map(({ bytes }) => bytes));
  api.check(api.addExternalInitializersFromFilesInMemory(options, addresses(names), buffers, lengths, external.length));
}

/** A name with a final zero, in the characters of the system's file names (`ORTCHAR_T`). */
function fileName(name: string): Uint8Array {
  return Buffer.from(`${name}\0`, process.platform === "win32" ? "utf16le" : "utf8");
}

/** Where a name is bound: the tensor over `values`, which stay referenced as long as it. */
interface Binding {
  readonly values: BoundValues;
  readonly tensor: Address;
}

/** A session with its I/O binding, in which a name is bound anew only when its values stand elsewhere than in the last run. */
class CApiSession implements ModelSession {
  readonly #api: OrtApi;
  readonly #memory: Address;
  readonly #session: Address;
  readonly #binding: Address;
  readonly #bound = new Map<string, Binding>();

  constructor(api: OrtApi, memory: Address, session: Address) {
    this.#api = api;
    this.#memory = memory;
    this.#session = session;
    this.#binding = api.created((out) => api.createIoBinding(session, out));
  }

  async run(feeds: readonly Bound[], fetches: readonly Bound[]): Promise<void> {
    const { bindInput, bindOutput, check, runWithBinding } = this.#api;
    for (const feed of feeds) this.#bind(feed, bindInput);
    for (const fetch of fetches) this.#bind(fetch, bindOutput);
    check(runWithBinding(this.#session, null, this.#binding));
  }

  async release(): Promise<void> {
    this.#api.releaseIoBinding(this.#binding);
    for (const { tensor } of this.#bound.values()) this.#api.releaseValue(tensor);
    this.#bound.clear();
    this.#api.releaseSession(this.#session);
  }

  #bind(bound: Bound, bind: OrtApi["bindInput"]): void {
    const { onnxName, values } = bound;
    const last = this.#bound.get(onnxName);
    // A WebAssembly memory that has grown has another buffer, perhaps at another address.
    if (last?.values.buffer === values.buffer && last.values.byteOffset === values.byteOffset) return;
    const tensor = this.#tensorOf(bound);
    this.#bound.set(onnxName, { values, tensor });
    this.#api.check(bind(this.#binding, onnxName, tensor));
    if (last !== undefined) this.#api.releaseValue(last.tensor);
  }

  #tensorOf({ spec, values }: Bound): Address {
    const shape = BigInt64Array.from(spec.shape, BigInt);
    return this.#api.created((out) =>
      this.#api.createTensorWithDataAsOrtValue(
        this.#memory,
        values,
        values.byteLength,
        shape,
        shape.length,
        elementTypes[spec.dtype],
        out,
      ),
    );
  }
}

/** ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, _INT32, _INT64, _FLOAT16 and _BFLOAT16 */
const elementTypes = { f32: 1, i32: 6, i64: 7, f16: 10, bf16: 16 } as const;
