import type { Precision, Tuned } from "../../../kernels/matmul/choose.ts";
import type { Device, Program, ProgramSpec, StateEntry, StateStore } from "../device.ts";
import { DeviceError } from "../errors.ts";
import { type AdapterOptions, type AdapterTraits, matmulAdapterOf, openAdapter } from "./adapter.ts";
import { GpuContext } from "./context.ts";
import type { MatmulChoice } from "./lower-matmul.ts";
import { planProgram } from "./planner.ts";
import { GpuProgram } from "./program.ts";
import { GpuStateStore } from "./state.ts";

export interface GpuDeviceOptions extends AdapterOptions {
  /** Memory that may be used; more is refused before anything is allocated. By default what the driver gives. */
  readonly memoryBytes?: number;
  /** How exactly the factors of matrix products are taken, where the adapter has faster units for less. */
  readonly precision?: Precision;
  /** Finds the kernels of products that were measured to be the fastest on the adapter that was opened. */
  readonly tuned?: (adapter: AdapterTraits) => Promise<Tuned>;
}

/** A GPU of any vendor, through Dawn. Throws `NoAdapterError` where there is none. */
export async function createGpuDevice(options: GpuDeviceOptions = {}): Promise<Device> {
  const { memoryBytes = Number.POSITIVE_INFINITY, precision = "f32", tuned, ...wanted } = options;
  const opened = await openAdapter(wanted);
  try {
    const choice = { adapter: matmulAdapterOf(opened), precision, tuned: (await tuned?.(opened.traits)) ?? {} };
    return new GpuDevice(new GpuContext(opened, memoryBytes), choice);
  } catch (error) {
    opened.device.destroy();
    throw error;
  }
}

class GpuDevice implements Device {
  readonly kind = "gpu";
  readonly description: string;
  readonly #context: GpuContext;
  readonly #matmul: MatmulChoice;

  constructor(context: GpuContext, matmul: MatmulChoice) {
    this.#context = context;
    this.#matmul = matmul;
    this.description = `GPU, ${context.traits.description}, Dawn`;
  }

  createState(entries: readonly StateEntry[]): Promise<StateStore> {
    return this.#context.inTurn(() => GpuStateStore.create(this.#context, entries));
  }

  async compile({ stores, outputs, updates = [] }: ProgramSpec): Promise<Program> {
    this.#context.check();
    const plan = planProgram({ outputs, updates }, this.#matmul);
    const own = stores.map((store) => {
      if (store instanceof GpuStateStore) return store;
      throw new DeviceError("a state store of another device was given to the GPU device");
    });
    return this.#context.inTurn(() => GpuProgram.create(this.#context, plan, own));
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}
