import { adamWLayout, type Program } from "../device.ts";
import { DeviceError, NonFiniteError } from "../errors.ts";
import { sizeOf, type Values } from "../graph.ts";
import { checkInputs } from "../program-inputs.ts";
import { planSubmits, prepare, record, type Submit } from "./commands.ts";
import type { GpuContext } from "./context.ts";
import { checkWrites, planUpdates, type UpdatePlan } from "./gpu-updates.ts";
import { Memory } from "./memory.ts";
import type { GpuPlan } from "./planner.ts";
import type { Span } from "./span.ts";
import type { GpuStateStore } from "./state.ts";
import { aligned, bytesOf } from "./values.ts";

/** A plan with its memory and pipelines: everything that is fixed across runs. */
export class GpuProgram implements Program {
  readonly #context: GpuContext;
  readonly #plan: GpuPlan;
  readonly #memory: Memory;
  readonly #updates: UpdatePlan;
  readonly #submits: readonly Submit[];
  readonly #readBack: ReadBack;
  #runs = 0;
  #lastMs = 0;
  #disposed: DeviceError | undefined;

  private constructor(parts: {
    context: GpuContext;
    plan: GpuPlan;
    memory: Memory;
    updates: UpdatePlan;
    submits: readonly Submit[];
    readBack: ReadBack;
  }) {
    this.#context = parts.context;
    this.#plan = parts.plan;
    this.#memory = parts.memory;
    this.#updates = parts.updates;
    this.#submits = parts.submits;
    this.#readBack = parts.readBack;
  }

  /** Allocates, compiles and binds. Throws `DeviceError`, with nothing left allocated. */
  static async create(context: GpuContext, plan: GpuPlan, stores: readonly GpuStateStore[]): Promise<GpuProgram> {
    const memory = await Memory.create(context, plan, stores);
    try {
      const updates = await planUpdates(plan.updates, memory, context.limits);
      const [commands, updateCommands] = await Promise.all([
        prepare(
          context,
          plan.steps.map(({ launch, values }) => ({ launch, spans: values.map((value) => memory.spanOf(value)) })),
        ),
        prepare(context, updates.launches),
      ]);
      context.check();
      const submits = planSubmits(commands, updateCommands, context.workLimits);
      const readBack = planReadBack(plan, updates, memory, submits.length);
      await memory.allocateReadBack(readBack.bytes);
      return new GpuProgram({ context, plan, memory, updates, submits, readBack });
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
    const started = performance.now();
    this.#runs += 1;
    this.#memory.writeInputs(packed);
    this.#memory.resetStatus(this.#runs);
    for (const [at, submit] of this.#submits.entries()) this.#submit(submit, at);
    const data = await this.#context.readMapped(this.#memory.readBack, this.#readBack.bytes, this.#lastMs);
    this.#lastMs = performance.now() - started;
    await this.#check(data, inputs);
    return this.#results(data);
  }

  /** Records a submit, which also copies the run's number beside the results, so that a dropped submit is detected. */
  #submit({ steps, copiesResults, updates }: Submit, at: number): void {
    const { outputs, after, marksAt } = this.#readBack;
    const encoder = this.#context.device.createCommandEncoder();
    record(encoder, steps);
    if (copiesResults) for (const { span, at: to } of outputs) this.#copyOut(encoder, span, to);
    record(encoder, updates);
    if (at === this.#submits.length - 1) for (const { span, at: to } of after) this.#copyOut(encoder, span, to);
    this.#copyOut(encoder, { ...this.#memory.status, bytes: markBytes }, marksAt + at * markBytes);
    this.#context.submit([...steps, ...updates], encoder);
  }

  #copyOut(encoder: GPUCommandEncoder, { buffer, offset, bytes }: Span, at: number): void {
    encoder.copyBufferToBuffer(buffer, offset, this.#memory.readBack, at, bytes);
  }

  /** Throws errors that the run itself reported. */
  async #check(data: ArrayBuffer, inputs: Readonly<Record<string, Values>>): Promise<void> {
    const marks = new Uint32Array(data, this.#readBack.marksAt, this.#submits.length);
    if (marks.some((run) => run !== this.#runs))
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

  /**
   * Finds the first gradient that is not finite. The gradients are intact: nothing overwrites them before the next
   * run.
   */
  async #blame(
    { parameters, settings, normName }: UpdatePlan["optimizers"][number],
    norm: number,
    inputs: Readonly<Record<string, Values>>,
  ): Promise<never> {
    const step = settings.place.kind === "input" ? inputs[settings.place.name]?.[adamWLayout.step] : undefined;
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

/** Names for messages of what a kernel checked. */
const namesOf: Readonly<Record<string, string>> = { sampleRows: "the sampling probabilities" };

interface ReadBack {
  readonly bytes: number;
  readonly outputs: readonly { readonly span: Span; readonly at: number }[];
  readonly after: readonly { readonly span: Span; readonly at: number }[];
  readonly statusAt: number;
  readonly normsAt: number;
  /** Offset of one word per submit. */
  readonly marksAt: number;
}

const markBytes = 4;

/** Layout of the read-back buffer, which is mapped at the end of a run and holds all its results. */
function planReadBack(plan: GpuPlan, updates: UpdatePlan, memory: Memory, submits: number): ReadBack {
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
    bytes: end + submits * markBytes,
    outputs,
    after: [status, ...norms],
    statusAt: status.at,
    normsAt: norms[0]?.at ?? 0,
    marksAt: end,
  };
}
