import { DeviceError, FixedStateError } from "../errors.ts";
import { sizeOf, type Values } from "../graph.ts";
import { type ArenaLayout, layOut } from "./arenas.ts";
import { bufferUsage, type GpuContext } from "./context.ts";
import type { GpuPlan } from "./planner.ts";
import { assignBuffers, type Pool } from "./pool.ts";
import type { Span } from "./span.ts";
import { type GpuStateStore, stateIn } from "./state.ts";
import { aligned, bytesOf, elementBytesOf, type Value, wholeOf } from "./values.ts";
import { checkSizes } from "./windows.ts";

const usage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;

/** All buffers of one program, and the span of each value. */
export class Memory {
  readonly #context: GpuContext;
  readonly #plan: GpuPlan;
  readonly #stores: readonly GpuStateStore[];
  readonly #pool: Pool;
  readonly #inputOffsets: ReadonlyMap<string, number>;
  readonly #inputBytes: number;
  readonly #constants = new Map<Value, Span>();
  readonly #owned: GPUBuffer[] = [];
  #transient: GPUBuffer[] = [];
  #inputs: GPUBuffer | undefined;
  readonly #gradientLayout: ArenaLayout;
  #gradients: GPUBuffer[] = [];
  #status: GPUBuffer | undefined;
  #readBack: GPUBuffer | undefined;

  private constructor(context: GpuContext, plan: GpuPlan, stores: readonly GpuStateStore[]) {
    this.#context = context;
    this.#plan = plan;
    this.#stores = stores;
    this.#pool = assignBuffers(plan.steps, keptValues(plan));
    const gradients = plan.gradients.map(({ shape }) => ({ name: "a parameter's gradient", shape }));
    this.#gradientLayout = layOut(gradients, context.limits);
    const offsets = new Map<string, number>();
    let end = 0;
    for (const { name, spec } of plan.inputs) {
      offsets.set(name, end);
      end += aligned(bytesOf({ size: sizeOf(spec.shape) }));
    }
    this.#inputOffsets = offsets;
    this.#inputBytes = end;
  }

  /** Checks that the plan's memory is available, then allocates it. Throws `DeviceError`. */
  static async create(context: GpuContext, plan: GpuPlan, stores: readonly GpuStateStore[]): Promise<Memory> {
    checkSizes(plan, context.limits);
    const memory = new Memory(context, plan, stores);
    memory.#checkStates();
    memory.#admit();
    try {
      await memory.#allocate();
    } catch (error) {
      memory.release();
      throw error;
    }
    return memory;
  }

  get readBack(): GPUBuffer {
    return need(this.#readBack, "read-back");
  }

  /** The run's number, then one word per status, each at a stride of 256 bytes. */
  get status(): Span {
    return { buffer: need(this.#status, "status"), offset: 0, bytes: 256 * (this.#plan.statuses.length + 1) };
  }

  spanOf(value: Value): Span {
    const bytes = bytesOf(value);
    const { place } = value;
    switch (place.kind) {
      case "state":
        return { ...this.#state(place.name), bytes };
      case "input":
        return { buffer: need(this.#inputs, "input"), offset: this.#inputOffsets.get(place.name) ?? 0, bytes };
      case "gradient": {
        const { arena = 0, offset = 0 } = this.#gradientLayout.places[place.index] ?? {};
        return { buffer: need(this.#gradients[arena], "gradient"), offset, bytes };
      }
      case "constant":
        return need(this.#constants.get(value), "constant");
      case "part": {
        const whole = this.spanOf(place.of);
        return { ...whole, offset: whole.offset + place.start * elementBytesOf(value), bytes };
      }
      case "status":
        return { buffer: need(this.#status, "status"), offset: 256 * (place.slot + 1), bytes: 16 };
      case "transient": {
        const index = this.#pool.bufferOf.get(value);
        return {
          buffer: need(index === undefined ? undefined : this.#transient[index], "transient"),
          offset: 0,
          bytes,
        };
      }
      default:
        place satisfies never;
        throw new TypeError("unknown place");
    }
  }

  /** Uploads words to a new buffer of the program. */
  async upload(what: string, values: Values | Uint32Array): Promise<Span> {
    const bytes = bytesOf({ size: values.length });
    const buffer = await this.#own(what, bytes, usage);
    this.#context.device.queue.writeBuffer(buffer, 0, values.buffer, values.byteOffset, values.byteLength);
    return { buffer, offset: 0, bytes };
  }

  async scratch(what: string, bytes: number): Promise<Span> {
    return { buffer: await this.#own(what, bytes, usage), offset: 0, bytes };
  }

  async allocateReadBack(bytes: number): Promise<void> {
    this.#readBack = await this.#own("results", bytes, bufferUsage.mapRead | bufferUsage.copyTarget);
  }

  packInputs(inputs: Readonly<Record<string, Values>>): Uint8Array<ArrayBuffer> {
    const packed = new Uint8Array(this.#inputBytes);
    for (const { name } of this.#plan.inputs) {
      const values = inputs[name];
      if (values === undefined) continue;
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      packed.set(bytes, this.#inputOffsets.get(name) ?? 0);
    }
    return packed;
  }

  writeInputs(packed: Uint8Array<ArrayBuffer>): void {
    if (packed.length > 0) this.#context.device.queue.writeBuffer(need(this.#inputs, "input"), 0, packed);
  }

  resetStatus(run: number): void {
    const words = new Uint32Array(64 * (this.#plan.statuses.length + 1)).fill(0xffff_ffff);
    words[0] = run;
    this.#context.device.queue.writeBuffer(need(this.#status, "status"), 0, words);
  }

  /** Reads a span's values outside a run. */
  async download({ buffer, offset }: Span, bytes: number): Promise<Float32Array> {
    const target = await this.#context.allocate("a read-out", bytes, bufferUsage.mapRead | bufferUsage.copyTarget);
    try {
      const encoder = this.#context.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, target, 0, bytes);
      this.#context.device.queue.submit([encoder.finish()]);
      return new Float32Array(await this.#context.readMapped(target, bytes, 0));
    } finally {
      this.#context.release(target);
    }
  }

  release(): void {
    for (const buffer of this.#owned.splice(0)) this.#context.release(buffer);
  }

  #admit(): void {
    const constants = constantsOf(this.#plan).reduce((sum, value) => sum + bytesOf(value), 0);
    this.#context.memory.admit([
      { what: "activations", bytes: this.#pool.sizes.reduce((sum, bytes) => sum + bytes, 0) },
      { what: "gradients", bytes: this.#gradientLayout.arenas.reduce((sum, bytes) => sum + bytes, 0) },
      { what: "inputs", bytes: this.#inputBytes },
      { what: "constants", bytes: constants },
      { what: "results", bytes: resultBytes(this.#plan) },
    ]);
  }

  async #allocate(): Promise<void> {
    this.#transient = [];
    for (const bytes of this.#pool.sizes) this.#transient.push(await this.#own("activations", bytes, usage));
    this.#inputs = await this.#own("inputs", this.#inputBytes, usage);
    this.#gradients = [];
    for (const bytes of this.#gradientLayout.arenas) this.#gradients.push(await this.#own("gradients", bytes, usage));
    this.#status = await this.#own("status", 256 * (this.#plan.statuses.length + 1), usage);
    for (const value of constantsOf(this.#plan)) {
      if (value.place.kind === "constant")
        this.#constants.set(value, await this.upload("constants", value.place.values));
    }
  }

  async #own(what: string, bytes: number, flags: number): Promise<GPUBuffer> {
    const buffer = await this.#context.allocate(what, bytes, flags);
    this.#owned.push(buffer);
    return buffer;
  }

  #checkStates(): void {
    for (const value of valuesOf(this.#plan)) {
      if (value.place.kind !== "state") continue;
      const held = this.#state(value.place.name);
      if (held.dtype !== value.dtype || sizeOf(held.shape) !== value.size)
        throw new DeviceError(
          `state '${value.place.name}' holds ${held.dtype}[${held.shape.join(", ")}] but the program reads ${value.dtype}[${value.shape.join(", ")}]`,
        );
    }
    for (const { place } of writtenValues(this.#plan))
      if (place.kind === "state" && this.#state(place.name).isFixed) throw new FixedStateError(place.name);
  }

  #state(name: string) {
    const held = stateIn(this.#stores, name);
    if (held !== undefined) return held;
    throw new DeviceError(`no state '${name}' in the program's stores: create it first, or name the store that has it`);
  }
}

function valuesOf(plan: GpuPlan): Set<Value> {
  const read = plan.updates.flatMap((update) =>
    update.kind === "adamW" ? update.parameters.map(({ gradient }) => gradient) : [update.value],
  );
  return new Set([
    ...plan.steps.flatMap(({ values }) => values.map(wholeOf)),
    ...plan.outputs.map(({ value }) => value),
    ...read,
    ...writtenValues(plan),
  ]);
}

/** State that updates write. */
function writtenValues({ updates }: GpuPlan): Value[] {
  return updates.flatMap((update) =>
    update.kind === "adamW"
      ? update.parameters.flatMap(({ parameter, firstMoment, secondMoment }) => [parameter, firstMoment, secondMoment])
      : [update.target],
  );
}

/** Bytes of the read-back buffer: outputs, statuses and a gradient norm. */
function resultBytes({ outputs, statuses }: GpuPlan): number {
  const status = 256 * (statuses.length + 2);
  return outputs.reduce((sum, { value }) => sum + aligned(bytesOf(value)), status);
}

function constantsOf(plan: GpuPlan): Value[] {
  return [...valuesOf(plan)].filter(({ place }) => place.kind === "constant");
}

/** Values that are read after the last step: outputs and operands of updates. */
function keptValues(plan: GpuPlan): Set<Value> {
  const kept = new Set(plan.outputs.map(({ value }) => value));
  for (const update of plan.updates) {
    if (update.kind === "adamW") for (const { gradient } of update.parameters) kept.add(gradient);
    else kept.add(update.value);
  }
  return kept;
}

function need<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new DeviceError(`the program has no ${what} buffer for a value`);
  return found;
}
