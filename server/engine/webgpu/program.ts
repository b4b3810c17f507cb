import type { Program } from "../device.ts";
import { DeviceError, NonFiniteError } from "../errors.ts";
import { sizeOf, type Values } from "../graph.ts";
import { checkInputs } from "../program-inputs.ts";
import type { GpuContext, Span } from "./context.ts";
import { checkWrites, planUpdates, type UpdatePlan } from "./gpu-updates.ts";
import { type Command, Memory, prepare } from "./memory.ts";
import type { GpuPlan } from "./planner.ts";
import type { GpuStateStore } from "./state.ts";
import { aligned, bytesOf } from "./values.ts";

/** What the first word of the status buffer says of a run that was not dropped. */
const runNumberBytes = 4;

/** A plan with its memory and pipelines: everything that does not change from run to run. */
export class GpuProgram implements Program {
  readonly #context: GpuContext;
  readonly #plan: GpuPlan;
  readonly #memory: Memory;
  readonly #commands: readonly Command[];
  readonly #updates: UpdatePlan;
  readonly #updateCommands: readonly Command[];
  readonly #readBack: ReadBack;
  #runs = 0;
  #lastMs = 0;
  #disposed: DeviceError | undefined;

  private constructor(parts: {
    context: GpuContext;
    plan: GpuPlan;
    memory: Memory;
    commands: readonly Command[];
    updates: UpdatePlan;
    updateCommands: readonly Command[];
    readBack: ReadBack;
  }) {
    this.#context = parts.context;
    this.#plan = parts.plan;
    this.#memory = parts.memory;
    this.#commands = parts.commands;
    this.#updates = parts.updates;
    this.#updateCommands = parts.updateCommands;
    this.#readBack = parts.readBack;
  }

  /** Allocates, compiles and binds. Throws `DeviceError`, with nothing left allocated. */
  static async create(context: GpuContext, plan: GpuPlan, stores: readonly GpuStateStore[]): Promise<GpuProgram> {
    const memory = await Memory.create(context, plan, stores);
    try {
      const updates = await planUpdates(plan.updates, memory, context.limits);
      const readBack = planReadBack(plan, updates, memory);
      await memory.allocateReadBack(readBack.bytes);
      const [commands, updateCommands] = await Promise.all([
        prepare(
          context,
          plan.steps.map(({ launch, values }) => ({ launch, spans: values.map((value) => memory.spanOf(value)) })),
        ),
        prepare(context, updates.launches),
      ]);
      context.check();
      return new GpuProgram({ context, plan, memory, commands, updates, updateCommands, readBack });
    } catch (error) {
      memory.release();
      throw error;
    }
  }

  async run(inputs: Readonly<Record<string, Values>>): Promise<Record<string, Values>> {
    if (this.#disposed !== undefined) throw this.#disposed;
    this.#context.check();
    checkInputs(this.#plan.inputs, inputs);
    checkWrites(this.#plan.updates, inputs);
    const packed = this.#memory.packInputs(inputs);
    return await this.#context.inTurn(() => this.#runNow(packed, inputs));
  }

  async dispose(): Promise<void> {
    if (this.#disposed !== undefined) return;
    this.#disposed = new DeviceError("the program was disposed of; compile it again");
    await this.#context.inTurn(async () => this.#memory.release());
  }

  async #runNow(
    packed: Uint8Array<ArrayBuffer>,
    inputs: Readonly<Record<string, Values>>,
  ): Promise<Record<string, Values>> {
    const { device } = this.#context;
    const started = performance.now();
    this.#runs += 1;
    this.#memory.writeInputs(packed);
    this.#memory.resetStatus(this.#runs);
    const encoder = device.createCommandEncoder();
    record(encoder, this.#commands);
    // Before updates, which may write over what an output shows.
    for (const { span, at } of this.#readBack.outputs) this.#copyOut(encoder, span, at);
    if (this.#updateCommands.length > 0) record(encoder, this.#updateCommands);
    for (const { span, at } of this.#readBack.after) this.#copyOut(encoder, span, at);
    device.queue.submit([encoder.finish()]);
    const data = await this.#context.readMapped(this.#memory.readBack, this.#readBack.bytes, this.#lastMs);
    this.#lastMs = performance.now() - started;
    await this.#check(data, inputs);
    return this.#results(data);
  }

  #copyOut(encoder: GPUCommandEncoder, { buffer, offset, bytes }: Span, at: number): void {
    encoder.copyBufferToBuffer(buffer, offset, this.#memory.readBack, at, bytes);
  }

  /** Throws what the run itself reported. */
  async #check(data: ArrayBuffer, inputs: Readonly<Record<string, Values>>): Promise<void> {
    const [run] = new Uint32Array(data, this.#readBack.statusAt, 1);
    if (run !== this.#runs)
      throw new DeviceError("the GPU dropped a submit without an error; its results cannot be trusted");
    for (const [slot, node] of this.#plan.statuses.entries()) {
      const [row = 0] = new Uint32Array(data, this.#readBack.statusAt + (slot + 1) * 256, 1);
      if (row !== 0xffff_ffff)
        throw new NonFiniteError(`row ${row} of ${namesOf[node.op] ?? node.op}`, undefined, Number.NaN);
    }
    for (const [index, optimizer] of this.#updates.optimizers.entries()) {
      const norm = this.#norm(data, index);
      if (!Number.isFinite(norm)) await this.#blame(optimizer, norm, inputs);
    }
  }

  #norm(data: ArrayBuffer, index: number): number {
    return new Float32Array(data, this.#readBack.normsAt + index * 256, 1)[0] ?? Number.NaN;
  }

  /** Finds the first gradient that is not finite. The gradients stand where they were: nobody writes over them before the next run. */
  async #blame(
    { parameters, settings, normName }: UpdatePlan["optimizers"][number],
    norm: number,
    inputs: Readonly<Record<string, Values>>,
  ): Promise<never> {
    const step = settings.place.kind === "input" ? inputs[settings.place.name]?.[9] : undefined;
    for (const { name, gradient } of parameters) {
      const values = await this.#memory.download(this.#memory.spanOf(gradient), gradient.size * 4);
      const bad = values.find((value) => !Number.isFinite(value));
      if (bad !== undefined) throw new NonFiniteError(`the gradient of ${name}`, step, bad);
    }
    throw new NonFiniteError(normName, step, norm);
  }

  #results(data: ArrayBuffer): Record<string, Values> {
    const results: Record<string, Values> = {};
    for (const [index, { name, node }] of this.#plan.outputs.entries()) {
      const at = this.#readBack.outputs[index]?.at ?? 0;
      const bytes = data.slice(at, at + sizeOf(node.shape) * 4);
      results[name] = node.dtype === "f32" ? new Float32Array(bytes) : new Int32Array(bytes);
    }
    for (const [index, { normName }] of this.#updates.optimizers.entries())
      results[normName] = Float32Array.of(this.#norm(data, index));
    return results;
  }
}

/** How people call what a kernel looked at. */
const namesOf: Readonly<Record<string, string>> = { sampleRows: "the sampling probabilities" };

interface ReadBack {
  readonly bytes: number;
  readonly outputs: readonly { readonly span: Span; readonly at: number }[];
  readonly after: readonly { readonly span: Span; readonly at: number }[];
  readonly statusAt: number;
  readonly normsAt: number;
}

/** Where everything that a run gives back stands in the one buffer that is mapped at its end. */
function planReadBack(plan: GpuPlan, updates: UpdatePlan, memory: Memory): ReadBack {
  let end = 0;
  const place = (span: Span): { span: Span; at: number } => {
    const placed = { span, at: end };
    end = aligned(end + span.bytes);
    return placed;
  };
  const outputs = plan.outputs.map(({ value }) => place({ ...memory.spanOf(value), bytes: bytesOf(value) }));
  const status = place(memory.status);
  const norms = updates.optimizers.map(({ norm }) => place(norm));
  return {
    bytes: Math.max(end, runNumberBytes),
    outputs,
    after: [status, ...norms],
    statusAt: status.at,
    normsAt: norms[0]?.at ?? 0,
  };
}

function record(encoder: GPUCommandEncoder, commands: readonly Command[]): void {
  const pass = encoder.beginComputePass();
  let current: GPUComputePipeline | undefined;
  for (const { pipeline, bindGroup, params, grid, name } of commands) {
    pass.pushDebugGroup(name);
    if (pipeline !== current) pass.setPipeline(pipeline);
    current = pipeline;
    pass.setBindGroup(0, bindGroup);
    if (params.byteLength > 0) pass.setImmediates(0, params);
    pass.dispatchWorkgroups(...grid);
    pass.popDebugGroup();
  }
  pass.end();
}
