import { messageOf } from "../../common/errors.ts";
import type { StateEntry } from "../device.ts";
import { DeviceError, InputMismatchError } from "../errors.ts";
import { sizeOf, type Values } from "../graph.ts";
import { type BufferSpec, checkInputs } from "../program-inputs.ts";
import type { Buffer, Results } from "./buffers.ts";
import { Heap } from "./heap.ts";
import { runHostStep } from "./host-steps.ts";
import type { CpuPlan, Feed, Operand } from "./plan.ts";
import type { Bound, ModelSession, Runtime } from "./runtime.ts";
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
  readonly #stores = new Map<number, Map<string, Buffer>>();
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

  createState(entries: readonly StateEntry[]): number {
    const store = new Map<string, Buffer>();
    for (const { name, shape, values, dtype = "f32" } of entries) {
      const buffer = this.#allocate({ shape, dtype });
      if (values !== undefined) this.#fill(name, buffer, values);
      store.set(name, buffer);
    }
    this.#next += 1;
    this.#stores.set(this.#next, store);
    return this.#next;
  }

  readState(store: number, name: string): Values {
    return this.#view(this.#state([store], name)).slice();
  }

  writeState(store: number, name: string, values: Values): void {
    this.#fill(name, this.#state([store], name), values);
  }

  disposeState(store: number): void {
    for (const buffer of this.#stores.get(store)?.values() ?? []) this.#heap.release(buffer.block);
    this.#stores.delete(store);
  }

  async compile(plan: CpuPlan, stores: readonly number[]): Promise<number> {
    for (const feed of [...plan.feeds, ...plan.frozen]) {
      if (feed.operand.from === "state") this.#checkState(stores, feed, feed.operand.name);
    }
    const session = plan.model === undefined ? undefined : await this.#createSession(plan.model, plan.frozen, stores);
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

  async #createSession(model: Uint8Array, frozen: readonly Feed[], stores: readonly number[]): Promise<ModelSession> {
    const external = frozen.map(({ onnxName, operand }) => {
      const values = operand.from === "state" ? this.#view(this.#state(stores, operand.name)) : new Float32Array();
      return { name: onnxName, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
    });
    try {
      return await this.#runtime.createSession({ model, external, threads: this.#threads });
    } catch (cause) {
      throw new DeviceError(`ONNX Runtime refused a program: ${messageOf(cause)}`, { cause });
    }
  }

  async #runModel(program: LoadedProgram, inputs: Readonly<Results>): Promise<void> {
    const { plan, session, buffers } = program;
    if (session === undefined) return;
    const feeds = plan.feeds.map(
      ({ onnxName, operand, spec }): Bound => ({ onnxName, spec, values: this.#values(program, operand, inputs) }),
    );
    const fetches = plan.fetches.map(
      ({ onnxName, index, spec }): Bound => ({ onnxName, spec, values: this.#view(bufferAt(buffers, index)) }),
    );
    await session.run(feeds, fetches);
  }

  #place(program: LoadedProgram, operand: Operand): Buffer {
    if (operand.from === "state") return this.#state(program.stores, operand.name);
    if (operand.from === "buffer") return bufferAt(program.buffers, operand.index);
    throw new DeviceError(`input '${operand.name}' cannot be updated or clipped: give it to a state first`);
  }

  #values(program: LoadedProgram, operand: Operand, inputs: Readonly<Results>): Values {
    if (operand.from !== "input") return this.#view(this.#place(program, operand));
    const values = inputs[operand.name];
    if (values === undefined) throw new InputMismatchError(operand.name, "nothing", "values");
    return values;
  }

  #checkState(stores: readonly number[], { spec }: Feed, name: string): void {
    const held = this.#state(stores, name).spec;
    if (held.dtype !== spec.dtype || sizeOf(held.shape) !== sizeOf(spec.shape)) {
      throw new DeviceError(
        `state '${name}' holds ${held.dtype}[${held.shape.join(", ")}] but the program reads ${spec.dtype}[${spec.shape.join(", ")}]`,
      );
    }
  }

  #state(stores: readonly number[], name: string): Buffer {
    for (const store of stores) {
      const buffer = this.#stores.get(store)?.get(name);
      if (buffer !== undefined) return buffer;
    }
    throw new DeviceError(`no state '${name}' in the program's stores: create it first, or name the store that has it`);
  }

  #allocate(spec: BufferSpec): Buffer {
    return { block: this.#heap.allocate(sizeOf(spec.shape) * 4), spec };
  }

  #fill(name: string, buffer: Buffer, values: Values): void {
    const expected = sizeOf(buffer.spec.shape);
    if (values.length !== expected) throw new InputMismatchError(name, `${values.length} values`, `${expected}`);
    this.#view(buffer).set(values);
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
