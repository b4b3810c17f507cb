import { messageOf } from "../../common/errors.ts";
import { machineMemory } from "../../common/machine-memory.ts";
import type { FixedEntry, StateEntry, StoredAs } from "../device.ts";
import { DeviceError, InputMismatchError, MachineMemoryError, NarrowWeightsError } from "../errors.ts";
import { sizeOf, type Values } from "../graph.ts";
import { type BufferSpec, checkInputs } from "../program-inputs.ts";
import type { Buffer, Results } from "./buffers.ts";
import { Heap } from "./heap.ts";
import { runHostStep } from "./host-steps.ts";
import type { SharedStore } from "./messages.ts";
import type { CpuPlan, Feed, Operand } from "./plan.ts";
import type { Bound, BoundValues, ModelSession, Runtime } from "./runtime.ts";
import { StateStores } from "./stores.ts";
import { applyUpdate } from "./updates.ts";

export interface ExecutorOptions {
  readonly runtime: Runtime;
  readonly threads: number;
}

interface LoadedProgram {
  readonly plan: CpuPlan;
  readonly session: ModelSession | undefined;
  readonly stores: readonly number[];
  readonly buffers: readonly Buffer[];
  /** Rows that the last run wrote to a table that starts from zeros, by buffer. */
  readonly touched: Map<number, Int32Array>;
}

/** Runs plans on its own thread. `CpuDevice` creates it on a worker, because ONNX Runtime blocks while it runs. */
export class CpuExecutor {
  readonly #heap = new Heap();
  readonly #runtime: Runtime;
  readonly #threads: number;
  readonly #stores = new StateStores(this.#heap);
  readonly #programs = new Map<number, LoadedProgram>();
  #next = 0;

  constructor({ runtime, threads }: ExecutorOptions) {
    this.#runtime = runtime;
    this.#threads = threads;
  }

  /** Throws `DeviceError` if that many more bytes do not fit. */
  admitState(bytes: number): void {
    this.#heap.admit(bytes);
  }

  /**
   * Throws `DeviceError` if so many more bytes of fixed state do not fit into the machine's memory, or if this runtime does
   * not read them as they are stored.
   */
  admitFixed(bytes: number, stored: ReadonlySet<StoredAs>): void {
    if (!this.#runtime.readsNarrow && [...stored].some((kind) => kind !== "f32")) throw new NarrowWeightsError();
    const [total, held] = [machineMemory(), process.memoryUsage.rss()];
    if (held + bytes > total) throw new MachineMemoryError({ bytes, held, total });
  }

  createState(entries: readonly StateEntry[]): number {
    return this.#stores.create(entries);
  }

  createFixed(entries: readonly FixedEntry[], shared?: SharedStore): number {
    return this.#stores.createFixed(entries, shared);
  }

  readState(store: number, name: string): Values {
    return this.#stores.read(store, name);
  }

  writeState(store: number, name: string, values: Values): void {
    this.#stores.write(store, name, values);
  }

  disposeState(store: number): void {
    this.#stores.dispose(store);
  }

  async compile(plan: CpuPlan, stores: readonly number[]): Promise<number> {
    for (const feed of [...plan.feeds, ...plan.frozen]) {
      if (feed.operand.from === "state") this.#stores.check(stores, feed.operand.name, feed);
    }
    const session = plan.model === undefined ? undefined : await this.#createSession(plan.model, plan, stores);
    const buffers = plan.buffers.map((spec) => this.#allocate(spec));
    this.#next += 1;
    this.#programs.set(this.#next, { plan, session, stores, buffers, touched: new Map() });
    return this.#next;
  }

  async run(id: number, inputs: Readonly<Results>): Promise<Results> {
    const program = this.#programs.get(id);
    if (program === undefined) throw new DeviceError("the program was disposed of; compile it again");
    checkInputs(program.plan.inputs, inputs);
    await this.#runModel(program, inputs);
    const place = (operand: Operand): Buffer => this.#place(program, operand);
    const values = (operand: Operand): Values => this.#values(program, operand, inputs);
    const result = (index: number): Values => this.#view(bufferAt(program.buffers, index));
    for (const step of program.plan.steps) runHostStep(step, { values, result, touched: program.touched });
    const results: Results = {};
    // Copy outputs before updates, which may overwrite state that an output views.
    for (const { name, operand } of program.plan.outputs) results[name] = values(operand).slice();
    for (const update of program.plan.updates) {
      Object.assign(
        results,
        applyUpdate(update, { place, values, view: (buffer) => this.#view(buffer), kernels: this.#heap.kernels }),
      );
    }
    return results;
  }

  async disposeProgram(id: number): Promise<void> {
    const program = this.#programs.get(id);
    this.#programs.delete(id);
    for (const buffer of program?.buffers ?? []) this.#heap.release(buffer.block);
    await program?.session?.release();
  }

  /** Releases what ONNX Runtime holds for the programs; nothing can run any more. */
  async close(): Promise<void> {
    for (const id of [...this.#programs.keys()]) await this.disposeProgram(id);
  }

  get usedBytes(): number {
    return this.#heap.usedBytes;
  }

  async #createSession(
    model: Uint8Array,
    { frozen, feeds }: Pick<CpuPlan, "frozen" | "feeds">,
    stores: readonly number[],
  ): Promise<ModelSession> {
    const external = frozen.map(({ onnxName, operand }) => {
      const values = operand.from === "state" ? this.#stores.values(stores, operand.name) : new Float32Array();
      return { name: onnxName, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
    });
    try {
      const widens = feeds.some(({ spec }) => spec.dtype === "f16" || spec.dtype === "bf16");
      return await this.#runtime.createSession({ model, external, threads: this.#threads, widens });
    } catch (cause) {
      throw new DeviceError(`ONNX Runtime refused a program: ${messageOf(cause)}`, { cause });
    }
  }

  async #runModel(program: LoadedProgram, inputs: Readonly<Results>): Promise<void> {
    const { plan, session, buffers } = program;
    if (session === undefined) return;
    const feeds = plan.feeds.map(
      (feed): Bound => ({ onnxName: feed.onnxName, spec: feed.spec, values: this.#fed(program, feed, inputs) }),
    );
    const fetches = plan.fetches.map(
      ({ onnxName, index, spec }): Bound => ({ onnxName, spec, values: this.#view(bufferAt(buffers, index)) }),
    );
    await session.run(feeds, fetches);
  }

  #place(program: LoadedProgram, operand: Operand): Buffer {
    if (operand.from === "state") return this.#stores.buffer(program.stores, operand.name);
    if (operand.from === "buffer") return bufferAt(program.buffers, operand.index);
    throw new DeviceError(`input '${operand.name}' cannot be updated or clipped: give it to a state first`);
  }

  #fed(program: LoadedProgram, feed: Feed, inputs: Readonly<Results>): BoundValues {
    const { operand } = feed;
    if (operand.from === "state") return this.#stores.fed(program.stores, operand.name, feed);
    return this.#values(program, operand, inputs);
  }

  #values(program: LoadedProgram, operand: Operand, inputs: Readonly<Results>): Values {
    if (operand.from === "state") return this.#stores.values(program.stores, operand.name);
    if (operand.from !== "input") return this.#view(this.#place(program, operand));
    const values = inputs[operand.name];
    if (values === undefined) throw new InputMismatchError(operand.name, "nothing", "values");
    return values;
  }

  #allocate(spec: BufferSpec): Buffer {
    return { block: this.#heap.allocate(sizeOf(spec.shape) * 4), spec };
  }

  #view({ block, spec }: Buffer): Values {
    return this.#heap.view(block, spec.dtype, sizeOf(spec.shape));
  }
}

function bufferAt(buffers: readonly Buffer[], index: number): Buffer {
  const buffer = buffers[index];
  if (buffer === undefined) throw new DeviceError(`the program has no buffer ${index}`);
  return buffer;
}
