import type { Precision, Tuned } from "../../../kernels/matmul/choose.ts";
import type {
  Device,
  FixedMemory,
  Program,
  ProgramSpec,
  StateEntry,
  StatePurpose,
  StateStore,
  StoredAs,
} from "../device.ts";
import {
  type AdapterOptions,
  type AdapterTraits,
  matmulAdapterOf,
  type OpenedAdapter,
  openAdapter,
} from "./adapter.ts";
import type { MemoryLimit } from "./admission.ts";
import { type ContextOptions, GpuContext } from "./context.ts";
import { GpuFixedMemory } from "./fixed.ts";
import { KernelTimer } from "./kernel-timer.ts";
import type { MatmulChoice } from "./lowering-types.ts";
import { type CheckedAdapter, checkMatrices } from "./matrix-check.ts";
import { type PlanOptions, planProgram } from "./planner.ts";
import { GpuProgram } from "./program.ts";
import { GpuStateStore, ownStore, stateIn } from "./state.ts";

export interface GpuDeviceOptions
  extends AdapterOptions,
    Pick<ContextOptions, "maxBindingBytes" | "maxBufferBytes" | "workLimits"> {
  /**
   * Finds the opened adapter's memory limit; allocations beyond it are refused up front. By default only the driver
   * refuses.
   */
  readonly memory?: (adapter: AdapterTraits) => Promise<MemoryLimit | undefined>;
  /** Maximum elements of logits materialised at once if a program needs only log-probabilities of ids; default 2^25. */
  readonly mostLogits?: number;
  /** Precision of the factors of matrix products, where the adapter has faster units at lower precision. */
  readonly precision?: Precision;
  /** `FixedMemory.fromBytes`; by default `fixedFromBytes`. */
  readonly fixedFrom?: number;
  /** Finds the product kernels that were measured to be the fastest on the opened adapter. */
  readonly tuned?: (adapter: AdapterTraits) => Promise<Tuned>;
}

/** A GPU of any vendor, through Dawn. Throws `NoAdapterError` where there is none. */
export async function createGpuDevice(options: GpuDeviceOptions = {}): Promise<Device> {
  return await gpuDeviceOn(await openAdapter(options), options);
}

/** A device on an open adapter; closing the device closes the adapter too. */
export async function gpuDeviceOn(opened: OpenedAdapter, options: GpuDeviceOptions = {}): Promise<Device> {
  const { mostLogits, precision = "f32", tuned, compileOnly = false, fixedFrom = fixedFromBytes } = options;
  const { maxBindingBytes, maxBufferBytes, workLimits } = options;
  const memory = await memoryOf(opened, options);
  const context = new GpuContext(opened, { memory, maxBindingBytes, maxBufferBytes, workLimits });
  try {
    const known = (await tuned?.(context.traits)) ?? {};
    const { adapter, problem } = await checkedAdapter(context, precision, compileOnly);
    const description = `GPU, ${context.traits.description}, Dawn`;
    const remark = problem === undefined ? "" : `, without its matrix units (${problem})`;
    return new GpuDevice(
      context,
      { adapter, precision, tuned: known },
      { mostLogits, limits: context.limits },
      { description: description + remark, fixedFrom },
    );
  } catch (error) {
    await context.close();
    throw error;
  }
}

async function memoryOf(
  { traits, device }: OpenedAdapter,
  { memory }: GpuDeviceOptions,
): Promise<MemoryLimit | undefined> {
  try {
    return await memory?.(traits);
  } catch (error) {
    device.destroy();
    throw error;
  }
}

/**
 * Keeps matrix units only where they pass `checkMatrices`; the null backend, which computes nothing, is not checked.
 */
async function checkedAdapter(
  context: GpuContext,
  precision: Precision,
  compileOnly: boolean,
): Promise<CheckedAdapter> {
  const adapter = matmulAdapterOf(context);
  if (compileOnly) return { adapter, problem: undefined };
  const timer = new KernelTimer(context);
  return await checkMatrices(adapter, precision, async ({ steps, workspaces }, factors, size) => {
    await timer.fill({ ...factors, ...workspaces, y: size });
    const result = await timer.run(steps, "y", size);
    timer.free();
    return result;
  });
}

/** Size of a model, in F32, from which weights that are not trained are held as its files have them. */
const fixedFromBytes = 2 ** 30;

class GpuDevice implements Device {
  readonly kind = "gpu";
  readonly description: string;
  readonly fixed: FixedMemory;
  readonly #context: GpuContext;
  readonly #matmul: MatmulChoice;
  readonly #options: PlanOptions;

  constructor(
    context: GpuContext,
    matmul: MatmulChoice,
    options: PlanOptions,
    { description, fixedFrom }: { readonly description: string; readonly fixedFrom: number },
  ) {
    this.#context = context;
    this.#matmul = matmul;
    this.#options = options;
    this.description = description;
    this.fixed = new GpuFixedMemory(context, fixedFrom);
  }

  admitState(bytes: number, purpose: StatePurpose = "weights"): Promise<void> {
    return this.#context.inTurn(async () => this.#context.memory.admit([{ what: purpose, bytes }]));
  }

  createState(entries: readonly StateEntry[], purpose?: StatePurpose): Promise<StateStore> {
    return this.#context.inTurn(() => GpuStateStore.create(this.#context, entries, purpose));
  }

  async compile({ stores, outputs, updates = [] }: ProgramSpec): Promise<Program> {
    this.#context.check();
    const own = stores.map(ownStore);
    const storedAs = (name: string): StoredAs | undefined => stateIn(own, name)?.stored;
    const plan = planProgram({ outputs, updates }, this.#matmul, { ...this.#options, storedAs });
    return this.#context.inTurn(() => GpuProgram.create(this.#context, plan, own));
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}
