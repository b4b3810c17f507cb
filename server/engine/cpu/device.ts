import { availableParallelism } from "node:os";
import { isMainThread, Worker } from "node:worker_threads";
import { messageOf } from "../../common/errors.ts";
import type {
  Device,
  FixedEntry,
  FixedMemory,
  Program,
  ProgramSpec,
  ShareOptions,
  StateEntry,
  StateStore,
  StoredAs,
} from "../device.ts";
import { DeviceError } from "../errors.ts";
import { sharedName } from "../fixed-entries.ts";
import type { Values } from "../graph.ts";
import { fixedFromBytes } from "./limits.ts";
import type { CallKind, Calls, Reply } from "./messages.ts";
import { closeRequest, toError } from "./messages.ts";
import type { OnnxModel, OnnxModelFile } from "./onnx-models.ts";
import { planProgram } from "./planner.ts";
import { type RuntimeChoice, type RuntimeKind, type WorkerOptions, wishedRuntime } from "./runtime.ts";

export interface CpuDeviceOptions {
  /** Threads of the matrix kernels; by default one per core. */
  readonly threads?: number;
  /** How to reach ONNX Runtime; by default as `LFP_ONNX_RUNTIME` says, or by its C API where that can be reached. */
  readonly runtime?: RuntimeKind | undefined;
  /** `FixedMemory.fromBytes`; by default `fixedFromBytes`. */
  readonly fixedFrom?: number;
}

/** The processor, through ONNX Runtime on a worker thread: the caller's thread never blocks. */
export async function createCpuDevice({
  threads = availableParallelism(),
  runtime = wishedRuntime(process.env),
  fixedFrom = fixedFromBytes,
}: CpuDeviceOptions = {}): Promise<CpuDevice> {
  silenceRuntime();
  // From source worker.ts is beside this file; in the bundle it is cpu-worker.js.
  const file = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./cpu-worker.js";
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: { threads, runtime } satisfies WorkerOptions,
  });
  const caller = new Caller(worker);
  return new CpuDevice(caller, threads, fixedFrom);
}

/**
 * Disables ONNX Runtime's telemetry. Version 1.29 and later reports its sessions to Microsoft over HTTPS and leaves a
 * device id in the user's cache, unless this variable is set before it is loaded (its docs/Privacy.md; Linux and macOS,
 * where Node has no other way to disable it). A worker's environment is a copy that native code does not see, so the
 * thread that starts the worker sets it.
 *
 * @throws {DeviceError} on a worker thread whose process has not set it: setting it there would have no effect
 */
function silenceRuntime(): void {
  if (process.env[telemetrySwitch] === "1") return;
  if (!isMainThread) {
    throw new DeviceError(
      `the CPU device was opened on a worker thread without ${telemetrySwitch}=1 in its process, so ONNX Runtime would report to its makers; open the device on the main thread, or set the variable there first`,
    );
  }
  process.env[telemetrySwitch] = "1";
}

const telemetrySwitch = "ORT_DISABLE_TELEMETRY";

export class CpuDevice implements Device {
  readonly kind = "cpu";
  readonly description: string;
  readonly fixed: FixedMemory;
  readonly #caller: Caller;

  constructor(caller: Caller, threads: number, fixedFrom: number) {
    this.#caller = caller;
    this.fixed = new CpuFixedMemory(caller, fixedFrom);
    this.description = `CPU, ${threads} thread${threads === 1 ? "" : "s"}, ONNX Runtime`;
  }

  async admitState(bytes: number): Promise<void> {
    await this.#caller.call("admitState", { bytes });
  }

  async createState(entries: readonly StateEntry[]): Promise<StateStore> {
    const id = await this.#caller.call("createState", { entries }, buffersOf(entries));
    return new CpuStateStore(this.#caller, { id, names: namesOf(entries) });
  }

  async compile({ stores, frozen = [], ...spec }: ProgramSpec): Promise<Program> {
    const own = stores.map(ownStore);
    const frozenNames = new Set(frozen.flatMap((store) => store.names));
    const plan = planProgram({ ...spec, frozenNames, fixed: new Map(own.flatMap((store) => [...store.fixed])) });
    const id = await this.#caller.call("compile", { plan, stores: own.map((store) => store.id) });
    const caller = this.#caller;
    return {
      run: (inputs) => caller.call("run", { program: id, inputs }),
      dispose: async () => {
        await caller.call("disposeProgram", { program: id });
      },
    };
  }

  /** Loads an ONNX model that others made. Rejects with `DeviceError` where ONNX Runtime refuses it. */
  async openModel(file: OnnxModelFile): Promise<OnnxModel> {
    const model = await this.#caller.call("openModel", file);
    const caller = this.#caller;
    return {
      run: (run) => caller.call("runModel", { ...run, model }),
      dispose: async () => {
        await caller.call("disposeModel", { model });
      },
    };
  }

  /** How this device reaches ONNX Runtime, and why. */
  runtimeChoice(): Promise<RuntimeChoice> {
    return this.#caller.call("runtimeChoice", undefined);
  }

  async close(): Promise<void> {
    await this.#caller.close();
  }
}

class CpuFixedMemory implements FixedMemory {
  readonly isRequired = true;
  readonly fromBytes: number;
  readonly #caller: Caller;

  constructor(caller: Caller, fromBytes: number) {
    this.#caller = caller;
    this.fromBytes = fromBytes;
  }

  async admit(bytes: number, stored: ReadonlySet<StoredAs>): Promise<void> {
    await this.#caller.call("admitFixed", { bytes, stored });
  }

  async create(entries: readonly FixedEntry[]): Promise<StateStore> {
    const id = await this.#caller.call("createFixed", { entries }, buffersOf(entries));
    return new CpuStateStore(this.#caller, { id, names: namesOf(entries), fixed: storedBy(entries) });
  }

  async share(store: StateStore, { prefix, entries = [], onDispose }: ShareOptions): Promise<StateStore> {
    const own = ownStore(store);
    const ask = { entries, shared: { store: own.id, prefix } };
    const id = await this.#caller.call("createFixed", ask, buffersOf(entries));
    const fixed = new Map([...own.fixed].map(([name, stored]) => [sharedName(name, prefix), stored]));
    for (const [name, stored] of storedBy(entries)) fixed.set(name, stored);
    return new CpuStateStore(this.#caller, { id, names: [...fixed.keys()], fixed, onDispose });
  }
}

function namesOf(entries: readonly { readonly name: string }[]): string[] {
  return entries.map(({ name }) => name);
}

function storedBy(entries: readonly FixedEntry[]): Map<string, StoredAs> {
  return new Map(entries.map(({ name, stored }) => [name, stored]));
}

function ownStore(store: StateStore): CpuStateStore {
  if (store instanceof CpuStateStore) return store;
  throw new DeviceError("a state store of another device was given to the CPU device");
}

interface StoreOptions {
  readonly onDispose?: ShareOptions["onDispose"] | undefined;
  readonly id: number;
  readonly names: readonly string[];
  readonly fixed?: ReadonlyMap<string, StoredAs>;
}

class CpuStateStore implements StateStore {
  readonly id: number;
  readonly names: readonly string[];
  /** How fixed state is held, by name; empty for a store of other state. */
  readonly fixed: ReadonlyMap<string, StoredAs>;
  readonly #caller: Caller;
  #onDispose: StoreOptions["onDispose"];

  constructor(caller: Caller, { id, names, fixed = new Map(), onDispose }: StoreOptions) {
    this.#caller = caller;
    this.#onDispose = onDispose;
    this.id = id;
    this.names = names;
    this.fixed = fixed;
  }

  read(name: string): Promise<Values> {
    return this.#caller.call("readState", { store: this.id, name });
  }

  async write(name: string, values: Values): Promise<void> {
    await this.#caller.call("writeState", { store: this.id, name, values });
  }

  async dispose(): Promise<void> {
    const onDispose = this.#onDispose;
    this.#onDispose = undefined;
    await this.#caller.call("disposeState", { store: this.id });
    await onDispose?.();
  }
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/** Sends requests to the worker and matches replies by id. */
class Caller {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #next = 0;
  #gone: DeviceError | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.#ended = new Promise((resolve) => {
      worker.once("exit", () => resolve());
    });
    // An idle device does not keep the process alive; a pending request does.
    worker.unref();
    worker.on("message", (reply: Reply) => this.#settle(reply));
    worker.on("error", (error) => this.#fail(new DeviceError(`the CPU device's thread failed: ${messageOf(error)}`)));
    worker.on("exit", (status) => this.#fail(new DeviceError(`the CPU device's thread ended with status ${status}`)));
  }

  call<K extends CallKind>(
    kind: K,
    ask: Calls[K]["ask"],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Calls[K]["answer"]> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve, reject) => {
      // The worker answers a request of kind K with Calls[K]["answer"]: `handlers` there is typed so.
      this.#waiting.set(id, { resolve: (answer) => resolve(answer as Calls[K]["answer"]), reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, kind, ask }, transfer);
    });
  }

  /**
   * Rejects pending requests and ends the thread after the current run: killed mid-run, ONNX Runtime aborts the
   * process.
   */
  async close(): Promise<void> {
    this.#fail(new DeviceError("the device was closed"));
    this.#worker.ref();
    this.#worker.postMessage(closeRequest);
    await this.#ended;
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    // While closing, the process stays alive until the thread has ended.
    if (this.#waiting.size === 0 && this.#gone === undefined) this.#worker.unref();
    if ("failure" in reply) waiting?.reject(toError(reply.failure));
    else waiting?.resolve(reply.answer);
  }

  #fail(error: DeviceError): void {
    this.#gone ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#gone);
    this.#waiting.clear();
  }
}

/** The buffers of entries that can be moved to the worker. */
function buffersOf(entries: readonly { readonly values: Values | Uint16Array | undefined }[]): ArrayBuffer[] {
  const owned = entries.flatMap(({ values }) => (values !== undefined && ownsBuffer(values) ? [values.buffer] : []));
  return [...new Set(owned)];
}

/** Whether values span their whole buffer: to transfer a partial view would detach its neighbours too. */
function ownsBuffer<V extends Values | Uint16Array>(values: V): values is V & { buffer: ArrayBuffer } {
  return values.buffer instanceof ArrayBuffer && values.byteLength === values.buffer.byteLength;
}
